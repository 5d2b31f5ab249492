// Plugins and configuration through a whole broker: what is used, when, and what is not.
#include "plugin/keys.hpp"
#include "tests/broker/fixture.hpp"
#include "tests/plugin/puppet.hpp"

#include <doctest/doctest.h>

#include <cstdlib>  // mkdtemp
#include <filesystem>

using namespace qvd;
using namespace qvd::broker::test;

namespace {

namespace fs = std::filesystem;

// A folder of plugins as a node has it, with the puppet and the broken ones besides.
class Folder {
public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "qvd-broker-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
        link(QVD_PLUGINS "/qvd-default.so");
        link(QVD_PLUGINS "/qvd-weighted.so");
        link(PUPPETS "/qvd-puppet.so");
        link(BROKEN_PLUGINS "/qvd-clashing.so");
        link(BROKEN_PLUGINS "/qvd-crashing.so");
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string settings(const testing::Stage& stage) const {
        return "path.plugins = " + path_ +
               "\npuppet.stage = " + std::to_string(reinterpret_cast<std::uintptr_t>(&stage)) +
               "\n";
    }

private:
    void link(const fs::path& file) const {
        fs::create_symlink(file, path_ + "/" + file.filename().string());
    }

    std::string path_;
};

// A farm whose broker has the puppet as balancer.
struct Stand {
    Folder folder;
    testing::Puppet puppet;
    testing::Stage stage{{"puppet", &puppet}};
    log::Capture log;
};

std::string balancer_of(Farm& farm) {
    return farm.broker->host().view().get(plugin::balancer);
}

void set(Farm& farm, const std::string& key, const std::string& value) {
    REQUIRE(farm.run(farm.store->set_configuration({{key, value}})).ok());
}

}  // namespace

TEST_CASE("a balancer's init() is shown the farm as it is, not an empty one") {
    Stand stand;
    std::vector<std::size_t> seen;
    stand.puppet.init = [&seen](const qvd_snapshot* farm, qvd_call*) {
        seen = {farm->nodes.count, farm->vms.count};
        return QVD_OK;
    };
    Farm farm(stand.folder.settings(stand.stage) + "l7r.loadbalancer.plugin = puppet\n");
    REQUIRE(farm.until([&] { return stand.log.contains("event=broker.configured"); }));
    CHECK(seen == std::vector<std::size_t>{1, 1});
}

TEST_CASE("a configuration that cannot be used is not used, not even a part of it") {
    Stand stand;
    Farm farm(stand.folder.settings(stand.stage));
    REQUIRE(farm.until([&] { return stand.log.contains("event=broker.configured"); }));
    set(farm, "model.user.login.case-sensitive", "1");
    REQUIRE(
        farm.until([&] { return farm.broker->host().view().get(plugin::login_case_sensitive); }));
    set(farm, "l7r.loadbalancer.plugin", "wieghted");
    REQUIRE(farm.until([&] { return stand.log.contains("the new configuration is not used"); }));
    CHECK(stand.log.contains("event=plugin.refused"));
    CHECK(balancer_of(farm) == "default");
    set(farm, "l7r.loadbalancer.plugin", "weighted");
    REQUIRE(farm.until([&] { return balancer_of(farm) == "weighted"; }));
}

TEST_CASE("a plugin that claims a key of the core's is refused and leaves no key behind") {
    Stand stand;
    Farm farm(stand.folder.settings(stand.stage));
    REQUIRE(farm.until([&] { return stand.log.contains("event=broker.configured"); }));
    set(farm, "l7r.loadbalancer.plugin", "clashing");
    REQUIRE(farm.until([&] { return stand.log.contains("event=plugin.refused"); }));
    CHECK(stand.log.contains("the plugin clashing cannot be used"));
    CHECK(balancer_of(farm) == "default");
    CHECK(farm.broker->host().view().keys().find("broken.mine") == nullptr);
}

TEST_CASE("a plugin is loaded when the configuration names it, and no other ever is") {
    Stand stand;
    Farm farm(stand.folder.settings(stand.stage));
    REQUIRE(farm.until([&] { return stand.log.contains("event=broker.configured"); }));
    CHECK(stand.log.contains("event=plugin.opens plugin=weighted"));
    CHECK_FALSE(stand.log.contains("event=plugin.opens plugin=puppet"));
    set(farm, "l7r.loadbalancer.plugin", "puppet");
    REQUIRE(farm.until([&] { return stand.log.contains("event=plugin.opens plugin=puppet"); }));
    REQUIRE(farm.until([&] { return balancer_of(farm) == "puppet"; }));
    // Its keys count from then on, whatever the broker knew when it began.
    CHECK(farm.broker->host().view().keys().find("puppet.stage") != nullptr);
}
