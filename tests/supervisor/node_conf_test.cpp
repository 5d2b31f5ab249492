// The node.conf that is installed tells the truth.
#include "base/file.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "config/view.hpp"
#include "hkd/keys.hpp"
#include "plugin/keys.hpp"
#include "supervisor/keys.hpp"

#include <doctest/doctest.h>

using namespace qvd;

namespace {

// The file with each "#key = value" made a setting.
config::Properties all_settings() {
    std::string text;
    for (const std::string& line : text::split(file::read(NODE_CONF).value(), '\n')) {
        const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '-';
        text += (setting ? line.substr(1) : std::string()) + "\n";
    }
    return config::Properties::parse(text, "node.conf").value();
}

std::shared_ptr<config::KeySet> keys() {
    auto set = std::make_shared<config::KeySet>();
    config::declare(*set);
    supervisor::declare(*set);
    plugin::declare(*set);
    hkd::declare(*set);
    return set;
}

}  // namespace

TEST_CASE("every key of the sample exists, and every value would do") {
    const config::View view(keys(), all_settings());
    CHECK(all_settings().entries().size() > 20);
    CHECK(view.unknown().empty());
    const auto good = view.check();
    CHECK_MESSAGE(good.ok(), (good.ok() ? "" : good.error().sentence()));
}

TEST_CASE("the sample shows the defaults") {
    const auto set = keys();
    const config::Properties sample = all_settings();
    for (const auto& [name, entry] : sample.entries()) {
        const std::string& key = name;
        const config::Declaration* const declared = set->find(key);
        REQUIRE_MESSAGE(declared != nullptr, key);
        // Without a default there is nothing to show; this one is an example.
        if (declared->fallback && key != "vm.hypervisor")
            CHECK_MESSAGE(*declared->fallback == entry.value, key);
    }
}

TEST_CASE("as it is installed the sample sets nothing") {
    CHECK(config::Properties::read(NODE_CONF).value().entries().empty());
}
