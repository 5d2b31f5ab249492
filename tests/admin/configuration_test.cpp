// qa config, and the filters of every list.
#include "tests/admin/farm.hpp"

#include <qvd/authenticator.h>
#include <qvd/hypervisor.h>

using namespace qvd;
using namespace qvd::admin::test;
using admin::Administration;
using admin::Filter;
using admin::Row;

TEST_CASE("the database's configuration holds over the file; file-only keys are refused by name") {
    Farm farm;
    CHECK(farm.code(farm.admin.set_configuration({{"hkd.vm.starting.max", "3"}})) == "ok");
    const auto rows = farm.admin.configuration({"hkd.vm.starting.max"}, false);
    REQUIRE(rows.ok());
    CHECK(value_of(rows->front(), "value") == "3");
    CHECK(value_of(rows->front(), "origin") == "database");

    const auto refused = farm.run(farm.admin.set_configuration({{"nodename", "x"}}));
    CHECK(refused.error().code() == "config.file_only");
    CHECK(refused.error().sentence().find("nodename") != std::string::npos);
    CHECK(farm.code(farm.admin.set_configuration({{"hkd.vm.starting.max", "many"}})) ==
          "config.value");
    CHECK(farm.code(farm.admin.set_configuration({{"l7r.ssl.key", "x"}})) == "config.certificate");
    CHECK(farm.admin.configuration({"hkd.vm.starting.mux"}, false).error().code() ==
          "config.unknown");
    CHECK(farm.code(farm.admin.set_configuration({{"vm.network.netmask", "99"}})) ==
          "config.value");
    CHECK(farm.code(farm.admin.set_configuration({{"a.plugins.key", "1"}})) == "ok");
    CHECK(farm.admin.warnings().size() == 1);
    CHECK(farm.run(farm.admin.delete_configuration({})).value() == 2);
}

TEST_CASE("a key that nobody declares can be set, got and listed") {
    Farm farm;
    REQUIRE(farm.code(farm.admin.set_configuration({{"myproperty", "a=b c"}})) == "ok");
    const auto one = farm.admin.configuration({"myproperty"}, false);
    REQUIRE(one.ok());
    CHECK(value_of(one->front(), "value") == "a=b c");
    CHECK(value_of(one->front(), "origin") == "database");
    const auto has = [](const std::vector<Row>& rows, const std::string& key) {
        return std::ranges::any_of(rows,
                                   [&](const Row& row) { return value_of(row, "key") == key; });
    };
    CHECK(has(*farm.admin.configuration({}, false), "myproperty"));
    CHECK(has(farm.admin.every_setting(false), "myproperty"));
    CHECK(farm.run(farm.admin.delete_configuration({"myproperty"})).value() == 1);
    CHECK(farm.admin.configuration({"myproperty"}, false).error().code() == "config.unknown");
}

TEST_CASE("a nearest key is asked about in a sentence of its own") {
    Farm farm;
    REQUIRE(farm.code(farm.admin.set_configuration({{"hkd.vm.starting.mux", "3"}})) == "ok");
    REQUIRE(farm.admin.warnings().size() == 1);
    CHECK(farm.admin.warnings().front().ends_with("? It was set all the same"));
}

TEST_CASE("the list has every key, set or not; the internal ones only if they are asked for") {
    Farm farm;
    config::Declaration plugins_own{"internal.vm.lxc.test"};
    plugins_own.fallback = "1";
    auto keys = std::make_shared<config::KeySet>();
    hkd::declare(*keys);
    REQUIRE(keys->declare(plugins_own).ok());
    const Administration admin{farm.store, {keys, config::Properties{}}, "tester"};
    const auto find = [](const std::vector<Row>& rows, const std::string& key) {
        return std::ranges::find_if(rows,
                                    [&](const Row& row) { return value_of(row, "key") == key; });
    };
    const auto every = admin.every_setting(false);
    const auto unset = find(every, "vm.network.bridge.create");
    REQUIRE(unset != every.end());
    CHECK(unset->find("value")->shown() == "-");
    CHECK(unset->find("origin")->shown() == "-");
    CHECK(find(every, "internal.vm.lxc.test") == every.end());
    const auto effective = admin.configuration({}, false);
    REQUIRE(effective.ok());
    CHECK(find(*effective, "internal.vm.lxc.test") == effective->end());
    CHECK(find(*effective, "vm.network.bridge.create") == effective->end());
    const auto with_internals = admin.every_setting(true);
    CHECK(find(with_internals, "internal.vm.lxc.test") != with_internals.end());
}

TEST_CASE("secrets of the configuration are masked") {
    Farm farm;
    const auto rows = farm.admin.configuration({"database.password"}, false);
    REQUIRE(rows.ok());
    CHECK(value_of(rows->front(), "value").find("hunter2") == std::string::npos);
    CHECK(!value_of(rows->front(), "value").empty());
    CHECK(farm.code(farm.admin.set_configuration({{"database.password", "x"}})) ==
          "config.file_only");
}

TEST_CASE("a filter names the keys that there are") {
    Farm farm;
    farm.populate();
    const auto wrong = farm.run(farm.admin.vms(Farm::filter("name=other,colour=red")));
    REQUIRE(!wrong.ok());
    CHECK(wrong.error().code() == "filter.key");
    CHECK(wrong.error().sentence().find("di_tag") != std::string::npos);
    CHECK(farm.code(farm.admin.hosts(Farm::filter("colour=red"))) == "filter.key");
    CHECK(Filter::parse({"name"}).error().code() == "filter.syntax");
    CHECK(Filter::parse({"=x"}).error().code() == "filter.syntax");
    CHECK(farm.run(farm.admin.vms(Farm::filter("name=d?sk,user=b*")))->size() == 1);
    CHECK(farm.run(farm.admin.vms(Farm::filter("name=d?sk,user=x*")))->empty());
    CHECK(farm.run(farm.admin.vms(Farm::filter("property.floor=2")))->empty());
}

TEST_CASE("a filter understands what the tables show: truths, and - for what is missing") {
    Farm farm;
    farm.populate();
    const auto count = [&](const std::string& filter) {
        return farm.run(farm.admin.vms(Farm::filter(filter)))->size();
    };
    for (const char* const truth : {"blocked=0", "blocked=no", "blocked=false", "blocked=n"})
        CHECK(count(truth) == 1);
    for (const char* const lie : {"blocked=1", "blocked=yes", "blocked=true"})
        CHECK(count(lie) == 0);
    CHECK(count("host=-") == 1);
    CHECK(count("name=-") == 0);
    CHECK(count("vm_pid=-") == 1);
    CHECK(count("use_overlay=yes") == 1);
    CHECK(count("use_overlay=no") == 0);
    CHECK(count("user_storage_size=-") == 1);
    CHECK(count("user_storage_size=0") == 1);
}

TEST_CASE("a name that a filter could not say is refused") {
    Farm farm;
    farm.populate();
    CHECK(farm.add_osf("a,b").error().code() == "osf.name");
    CHECK(farm.add_osf("a\nb").error().code() == "osf.name");
    CHECK(farm.add_vm("a,b", "bob", "office").error().code() == "vm.name");
    CHECK(farm.add_vm("a", "bob", "office", "", "b,c").error().code() == "tag.name");
    CHECK(farm.code(farm.admin.add_host("a,b", "10.3.15.2")) == "host.name");
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"name", "a,b"}})) == "vm.name");
    CHECK(farm.code(farm.admin.tag_di("1", "a,b")) == "tag.name");
}

TEST_CASE("the name of a plugin that is not installed is set only by force") {
    Farm farm;
    const auto set = [&](const std::string& key, const std::string& value, bool force = false) {
        const auto done = farm.run(farm.admin.set_configuration({{key, value}}, force));
        return done.ok() ? std::string("ok") : done.error().sentence();
    };
    // Where nothing is installed nothing can be known.
    CHECK(set("l7r.auth.plugins", "default") == "ok");
    CHECK(farm.admin.warnings().size() == 1);
    farm.admin.know_plugins({{"default", "1", {QVD_AUTHENTICATOR}, {}, {}},
                             {"lxc-unionfs", "1", {QVD_HYPERVISOR}, {}, {}}});
    CHECK(set("l7r.auth.plugins", "default") == "ok");
    CHECK(set("vm.hypervisor", "lxc") == "ok");
    CHECK(set("l7r.auth.plugins", "default, nonexistent") ==
          "l7r.auth.plugins: there is no authenticator \"nonexistent\" in /usr/lib/qvd/plugins "
          "(installed authenticators: default); --force sets it all the same");
    CHECK(set("vm.hypervisor", "default").find("there is no hypervisor") != std::string::npos);
    CHECK(farm.admin.view().get(plugin::hypervisor) == "lxc");
    CHECK(set("vm.hypervisor", "kvm", true) == "ok");
    CHECK(farm.admin.warnings().back().find("there is no hypervisor \"kvm\"") != std::string::npos);
}
