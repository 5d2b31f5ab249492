// A farm in memory, and the operations of core/admin on it.
#pragma once

#include "admin/administration.hpp"
#include "admin/keys.hpp"
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

namespace qvd::admin::test {

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
        admin::declare(*keys);
        const std::string text = "path.storage.root = " + folder.path +
                                 "\nvm.network.ip.start = 10.3.15.50\nvm.network.netmask = 24\n"
                                 "database.password = hunter2\nvm.hypervisor = lxc-unionfs\n";
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
        std::ofstream(folder.path + "/" + file) << "\x28\xb5\x2f\xfd and so on: zstd";
        Administration::NewDi di;
        di.path = folder.path + "/" + file;
        di.osf = osf;
        const auto added = run(admin.add_di(std::move(di), {}));
        if (!added.ok()) return added.error();
        return added->id;
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

inline std::string value_of(const Row& row, const std::string& key) {
    const admin::Cell* cell = row.find(key);
    return cell == nullptr ? "(none)" : cell->value;
}

inline bool audited(const Farm& farm, const std::string& line) {
    const auto lines = farm.store.audited();
    return std::ranges::find(lines, line) != lines.end();
}

}  // namespace qvd::admin::test
