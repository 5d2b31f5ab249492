// Every operation of core/admin on a store in memory.
#include "admin/administration.hpp"

#include "broker/keys.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "plugin/keys.hpp"
#include "store/memory_store.hpp"
#include "tests/store/await.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace qvd;
using admin::Administration;
using admin::Done;
using admin::Filter;
using admin::Row;

namespace {

struct Folder {
    Folder() { path = ::mkdtemp(name); }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    char name[24] = "/tmp/qvd-admin-XXXXXX";
    std::string path;
};

struct Farm {
    config::View view() const {
        auto keys = std::make_shared<config::KeySet>();
        config::declare(*keys);
        plugin::declare(*keys);
        hkd::declare(*keys);
        broker::declare(*keys);
        const std::string text = "path.storage.root = " + folder.path +
                                 "\nvm.network.ip.start = 10.3.15.50\nvm.network.netmask = 24\n"
                                 "database.password = hunter2\n";
        return {keys, config::Properties::parse(text, "test.conf").value()};
    }

    template <class T>
    Result<T> run(admin::Async<T> call) {
        return store::test::run_on(loop, std::move(call));
    }
    template <class T>
    std::string code(admin::Async<T> call) {
        return store::test::code_on(loop, std::move(call));
    }
    static Filter filter(const std::string& text = {}) {
        if (text.empty()) return Filter{};
        return Filter::parse({text}).value();
    }
    Result<OsfId> add_osf(const std::string& name, const std::string& memory = "256",
                          const std::string& home = "") {
        Administration::NewOsf osf;
        osf.name = name;
        osf.memory = memory;
        osf.user_storage_size = home;
        return run(admin.add_osf(std::move(osf)));
    }
    Result<DiId> add_di(const std::string& osf, const std::string& file) {
        std::ofstream(folder.path + "/" + file) << "image";
        Administration::NewDi di;
        di.path = folder.path + "/" + file;
        di.osf = osf;
        return run(admin.add_di(std::move(di), {}));
    }
    Result<VmId> add_vm(const std::string& name, const std::string& user, const std::string& osf,
                        const std::string& ip = "", const std::string& tag = "default") {
        Administration::NewVm vm;
        vm.name = name;
        vm.user = user;
        vm.osf = osf;
        vm.ip = ip;
        vm.di_tag = tag;
        return run(admin.add_vm(std::move(vm)));
    }
    // bob with the VM desk of the osf office, which has one image.
    void populate() {
        REQUIRE(run(admin.add_user("bob", Secret{"secret"})).ok());
        REQUIRE(add_osf("office").ok());
        REQUIRE(add_di("office", "office.tar").ok());
        REQUIRE(add_vm("desk", "bob", "office").ok());
    }

    Folder folder;
    boost::asio::io_context loop;
    store::MemoryStore store{loop.get_executor()};
    Administration admin{store, view(), "tester"};
};

std::string value_of(const Row& row, const std::string& key) {
    const admin::Cell* cell = row.find(key);
    return cell == nullptr ? "(none)" : cell->value;
}

bool audited(const Farm& farm, const std::string& line) {
    const auto lines = farm.store.audited();
    return std::ranges::find(lines, line) != lines.end();
}

}  // namespace

TEST_CASE("a VM gets the highest free address, its owner and its image, and the audit says who") {
    Farm farm;
    farm.populate();

    const auto rows = farm.run(farm.admin.vms(Farm::filter()));
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 1);
    CHECK(value_of(rows->front(), "user") == "bob");
    CHECK(value_of(rows->front(), "ip") == "10.3.15.254");
    CHECK(value_of(rows->front(), "state") == "stopped");
    CHECK(audited(farm, "tester vm add desk"));
    CHECK(farm.admin.warnings().empty());
}

TEST_CASE("a VM whose tag no image has is made with a warning") {
    Farm farm;
    farm.populate();

    REQUIRE(farm.add_vm("desk2", "bob", "office", "", "beta").ok());
    REQUIRE(farm.admin.warnings().size() == 1);
    CHECK(farm.admin.warnings().front().find("\"beta\"") != std::string::npos);
}

TEST_CASE("a VM is refused without owner, with a foreign address and under a name in use") {
    Farm farm;
    farm.populate();

    CHECK(farm.add_vm("a", "nobody", "office").error().code() == "user.not_found");
    CHECK(farm.add_vm("a", "bob", "none").error().code() == "osf.not_found");
    CHECK(farm.add_vm("a", "", "office").error().code() == "parameter.exclusive");
    CHECK(farm.add_vm("", "bob", "office").error().code() == "vm.name");
    CHECK(farm.add_vm("a", "bob", "office", "10.3.15.7").error().code() == "vm.ip");
    CHECK(farm.add_vm("a", "bob", "office", "10.3.15.254").error().code() == "address.taken");
    CHECK(farm.add_vm("desk", "bob", "office").error().code() == "vm.exists");
}

TEST_CASE("what is in use is left alone when it is deleted, and named with the reason") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.run(farm.admin.add_user("alice", Secret{"x"})).ok());

    const auto users = farm.run(farm.admin.delete_users(Farm::filter()));
    REQUIRE(users.ok());
    CHECK(users->count == 1);
    REQUIRE(users->skipped.size() == 1);
    CHECK(users->skipped.front().starts_with("user bob: "));
    const auto osfs = farm.run(farm.admin.delete_osfs(Farm::filter()));
    REQUIRE(osfs.ok());
    CHECK(osfs->count == 0);
    CHECK(osfs->skipped.size() == 1);

    CHECK(farm.run(farm.admin.delete_vms(Farm::filter()))->count == 1);
    CHECK(farm.run(farm.admin.delete_dis(Farm::filter()))->count == 1);
    CHECK(farm.run(farm.admin.delete_osfs(Farm::filter()))->count == 1);
    CHECK(farm.run(farm.admin.delete_users(Farm::filter("login=b*")))->count == 1);
}

TEST_CASE("VMs are edited one by one where a value can be only one VM's") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.add_vm("desk2", "bob", "office").ok());

    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"name", "x"}})) == "vm.edit");
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"color", "x"}})) == "vm.edit");
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"di_tag", ""}})) == "vm.edit");
    CHECK(farm.run(farm.admin.edit_vms(Farm::filter("name=desk2"), {{"name", "desk3"}})).value() ==
          1);
    CHECK(farm.run(farm.admin.vms(Farm::filter("name=desk3")))->size() == 1);
    CHECK(farm.run(farm.admin.edit_vms(Farm::filter(), {{"di_tag", "head"}})).value() == 2);
}

TEST_CASE("VMs are blocked; those that do not run cannot be stopped or disconnected") {
    Farm farm;
    farm.populate();

    CHECK(farm.run(farm.admin.block_vms(Farm::filter(), true)).value() == 1);
    CHECK(value_of(farm.run(farm.admin.vms(Farm::filter()))->front(), "blocked") == "1");
    const auto stopped = farm.run(farm.admin.stop_vms(Farm::filter()));
    REQUIRE(stopped.ok());
    CHECK(stopped->count == 0);
    CHECK(stopped->skipped.size() == 1);
    CHECK(farm.run(farm.admin.disconnect_users(Farm::filter()))->skipped.size() == 1);
}

TEST_CASE("hosts are added, listed, blocked and deleted") {
    Farm farm;
    REQUIRE(farm.run(farm.admin.add_host("n1", "10.3.15.1")).ok());

    CHECK(farm.code(farm.admin.add_host("", "10.3.15.2")) == "host.name");
    CHECK(farm.code(farm.admin.add_host("n2", "nonsense")) != "ok");
    CHECK(farm.code(farm.admin.add_host("n1", "10.3.15.2")) == "node.exists");
    CHECK(farm.run(farm.admin.block_hosts(Farm::filter("name=n?"), true)).value() == 1);
    const auto rows = farm.run(farm.admin.hosts(Farm::filter()));
    REQUIRE(rows.ok());
    CHECK(value_of(rows->front(), "blocked") == "1");
    CHECK(farm.run(farm.admin.delete_hosts(Farm::filter()))->count == 1);
}

TEST_CASE("an image is copied under its own id; one that is missing leaves nothing behind") {
    Farm farm;
    farm.populate();
    const std::string images = farm.folder.path + "/images";
    const auto rows = farm.run(farm.admin.dis(Farm::filter("tag=default")));
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 1);
    CHECK(std::filesystem::exists(images + "/" + value_of(rows->front(), "path")));

    Administration::NewDi missing;
    missing.path = farm.folder.path + "/none.tar";
    missing.osf = "office";
    CHECK(farm.code(farm.admin.add_di(missing, {})) == "image.missing");
    missing.osf = "none";
    CHECK(farm.code(farm.admin.add_di(missing, {})) == "osf.not_found");
    const auto files = std::filesystem::directory_iterator(images);
    CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("a tag moves between images, and head stays") {
    Farm farm;
    farm.populate();
    const auto second = farm.add_di("office", "office2.tar");
    REQUIRE(second.ok());
    const std::string id = second->text();

    CHECK(farm.code(farm.admin.tag_di(id, "default")) == "ok");
    CHECK(value_of(farm.run(farm.admin.dis(Farm::filter("tag=default")))->front(), "id") == id);
    CHECK(farm.code(farm.admin.untag_di(id, "head")) == "tag.head");
    CHECK(farm.code(farm.admin.tag_di("99999", "x")) == "di.not_found");
    CHECK(farm.code(farm.admin.tag_di("x", "x")) == "id.syntax");
    CHECK(farm.code(farm.admin.tag_di(id, "a,b")) == "tag.name");
}

TEST_CASE("users are normalised, and an empty password is refused") {
    Farm farm;
    CHECK(farm.code(farm.admin.add_user(" Bob ", Secret{"x"})) == "ok");
    CHECK(farm.code(farm.admin.add_user("bob", Secret{"x"})) == "user.exists");
    CHECK(farm.code(farm.admin.add_user("a:b", Secret{"x"})) == "user.login");
    CHECK(farm.code(farm.admin.add_user("carl", Secret{""})) == "password.empty");
    CHECK(farm.code(farm.admin.set_password("nobody", Secret{"x"})) == "user.not_found");
    CHECK(farm.code(farm.admin.set_password("bob", Secret{"y"})) == "ok");
}

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
    CHECK(farm.code(farm.admin.set_configuration({{"a.plugins.key", "1"}})) == "ok");
    CHECK(farm.admin.warnings().size() == 1);
    CHECK(farm.run(farm.admin.delete_configuration({})).value() == 2);
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
    CHECK(Filter::parse({"name"}).error().code() == "filter.syntax");
    CHECK(Filter::parse({"=x"}).error().code() == "filter.syntax");
    CHECK(farm.run(farm.admin.vms(Farm::filter("name=d?sk,user=b*")))->size() == 1);
    CHECK(farm.run(farm.admin.vms(Farm::filter("name=d?sk,user=x*")))->empty());
    CHECK(farm.run(farm.admin.vms(Farm::filter("property.floor=2")))->empty());
}

TEST_CASE("sizes are MiB, or have a suffix") {
    CHECK(admin::parse_size_mib("512").value() == 512);
    CHECK(admin::parse_size_mib("2G").value() == 2048);
    CHECK(admin::parse_size_mib("2GiB").value() == 2048);
    CHECK(admin::parse_size_mib("2gb").value() == 2048);
    CHECK(admin::parse_size_mib("1K").value() == 1);
    for (const char* const wrong : {"", "G", "-1", "2X", "512B", "1.5G", "99999999999999999999"})
        CHECK(admin::parse_size_mib(wrong).error().code() == "size.syntax");
}

TEST_CASE("an osf with too little memory or a wrong size is refused") {
    Farm farm;
    CHECK(farm.add_osf("a", "8").error().code() == "osf.memory");
    CHECK(farm.add_osf("a", "lots").error().code() == "size.syntax");
    CHECK(farm.add_osf("").error().code() == "osf.name");
    REQUIRE(farm.add_osf("a", "1G", "2G").ok());
    const auto rows = farm.run(farm.admin.osfs(Farm::filter()));
    REQUIRE(rows.ok());
    CHECK(value_of(rows->front(), "memory") == "1024");
    CHECK(value_of(rows->front(), "user_storage_size") == "2048");
}

TEST_CASE("without the database every operation says so") {
    Farm farm;
    farm.store.fail_with_unavailable(true);
    CHECK(farm.code(farm.admin.load()) == "store.down");
    CHECK(farm.code(farm.admin.vms(Farm::filter())) == "store.down");
    CHECK(farm.code(farm.admin.add_host("n", "10.3.15.1")) == "store.down");
}
