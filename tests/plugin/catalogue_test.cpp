// What a folder of plugins holds is found out at no risk.
#include "plugin/catalogue.hpp"

#include <qvd/load_balancer.h>

#include <doctest/doctest.h>

namespace qvd::plugin {

namespace {

const InstalledPlugin& entry(const Catalogue& catalogue, const std::string& name) {
    for (const InstalledPlugin& plugin : catalogue)
        if (plugin.name == name) return plugin;
    FAIL("there is no entry " << name);
    return catalogue.front();
}

}  // namespace

TEST_CASE("the catalogue says what each plugin is and which keys it has") {
    const Catalogue all = read_catalogue(PLUGINS);
    const InstalledPlugin& weighted = entry(all, "weighted");
    CHECK(weighted.problem.empty());
    CHECK_FALSE(weighted.version.empty());
    CHECK(weighted.interfaces == std::vector<std::string>{QVD_LOAD_BALANCER});
    CHECK(declares(all, "l7r.loadbalancer.plugin.default.weight.ram"));
    CHECK_FALSE(declares(all, "l7r.port"));
    const config::Declaration& key = weighted.keys.front();
    CHECK(key.kind == config::Kind::number);
    CHECK(key.fallback == "1");
    CHECK(key.range.max == 1'000'000);
    CHECK_FALSE(key.meaning.empty());
}

TEST_CASE("a file that crashes, ends or never ends who loads it is an entry with a problem") {
    const Catalogue all = read_catalogue(BROKEN_PLUGINS, Milliseconds{2'000});
    REQUIRE(all.size() == 4);
    CHECK(entry(all, "crashing").problem == BROKEN_PLUGINS
          "/qvd-crashing.so: it ends the process that loads it with signal SIGABRT; "
          "`qvd-plugin-check " BROKEN_PLUGINS "/qvd-crashing.so` tells more");
    CHECK(entry(all, "exiting").problem.find("it ends the process that loads it;") !=
          std::string::npos);
    CHECK(entry(all, "hanging").problem.find("loading it does not end") != std::string::npos);
    // It is a sound plugin, as far as it alone can tell.
    CHECK(entry(all, "clashing").problem.empty());
    CHECK(entry(all, "clashing").keys.size() == 2);
}

TEST_CASE("where there is no folder there are no plugins") {
    CHECK(read_catalogue("/nowhere").empty());
}

}  // namespace qvd::plugin
