// A node's storage of real files, a database in memory, and a hypervisor that removes what it is
// told to: what the collector's tests begin with.
#pragma once

#include "config/keys.hpp"
#include "hkd/collector/collector.hpp"
#include "hkd/spawn.hpp"
#include "plugin/keys.hpp"
#include "store/memory_store.hpp"
#include "tests/hkd/world.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace qvd::hkd::test {

namespace fs = std::filesystem;

// Of its calls only the two that remove things do anything.
class RemovingBackend final : public Backend {
public:
    Token listen(std::function<void(const FoundVm&)> /*hear*/) override { return {}; }
    Result<void> know(const std::string& /*hypervisor*/) override { return {}; }
    Async<void> collect(std::vector<std::string> /*keep*/) override { co_return nothing(); }
    Async<Survey> survey() override { co_return Survey{}; }
    Async<void> prepare_image(ImagePlan image, Deadline /*deadline*/,
                              Progress /*progress*/) override {
        calls.push_back("prepare_image " + image.unpacked_path);
        co_return nothing();
    }
    Async<void> start(VmPlan /*vm*/, Deadline /*deadline*/) override { co_return nothing(); }
    Async<void> stop(VmPlan /*vm*/, Deadline /*deadline*/) override { co_return nothing(); }
    Async<void> destroy(VmPlan /*vm*/, Deadline /*deadline*/) override { co_return nothing(); }
    Async<FoundVm> state(VmPlan /*vm*/, Deadline /*deadline*/) override { co_return FoundVm{}; }
    Async<plugin::VmUsageStatus> usage(VmPlan /*vm*/, Deadline /*deadline*/) override {
        co_return plugin::VmUsageStatus{};
    }
    Async<std::vector<plugin::ConsoleEndpoint>> console(VmPlan /*vm*/,
                                                        Deadline /*deadline*/) override {
        co_return std::vector<plugin::ConsoleEndpoint>{};
    }
    Async<std::string> carry_out(VmPlan /*vm*/, VmCommand /*command*/, std::string /*argument*/,
                                 Deadline /*deadline*/) override {
        co_return std::string();
    }
    Async<plugin::NodeCapacity> capacity(Deadline /*deadline*/) override {
        co_return plugin::NodeCapacity{};
    }
    Async<void> remove_image(ImagePlan image, Deadline /*deadline*/) override {
        calls.push_back(image.hypervisor + " remove_image " + image.unpacked_path);
        if (meanwhile) meanwhile();
        co_return removed(image.unpacked_path);
    }
    Async<void> remove_vm(VmPlan vm, Deadline /*deadline*/) override {
        const plugin::DiskSpec& disk = vm.disks.at(0);
        const bool home = disk.role == plugin::DiskRole::home;
        calls.push_back(vm.hypervisor + " remove_vm " + vm.vm.text() + (home ? " home" : ""));
        co_return removed(home ? disk.path : disk.overlay_path);
    }

    std::vector<std::string> calls;
    std::set<std::string> refuses;  // paths
    std::function<void()> meanwhile;

private:
    static Result<void> nothing() { return {}; }
    Result<void> removed(const std::string& path) {
        if (refuses.contains(path))
            return Error{ErrorKind::unavailable, "fake.refuses", "it cannot be removed"};
        fs::remove_all(path);
        return {};
    }
};

class Storehouse {
public:
    Storehouse();
    ~Storehouse();
    Storehouse(const Storehouse&) = delete;
    Storehouse& operator=(const Storehouse&) = delete;

    // With the ids of its image and its VM for "{di}" and "{vm}"; so are all names below.
    [[nodiscard]] std::string words(std::string text) const;
    [[nodiscard]] std::string path(const std::string& below) const {
        return root_ + "/" + words(below);
    }
    // A folder with a file in it, or a file; last changed so long ago.
    void folder(const std::string& below);
    void file(const std::string& below, std::chrono::hours ago = std::chrono::hours{0});
    // A folder of a checkpoint that was written so many hours ago.
    void checkpoint(const std::string& below, int hours);
    void age(const std::string& below, int hours) {
        fs::last_write_time(path(below),
                            fs::file_time_type::clock::now() - std::chrono::hours{hours});
    }
    [[nodiscard]] bool has(const std::string& below) const { return fs::exists(path(below)); }

    void set(const std::string& key, const std::string& value) { configuration_[key] = value; }
    template <class T>
    Result<T> ask(boost::asio::awaitable<Result<T>> operation);
    // Each must succeed.
    Collection collect(CollectOrder order = {});
    std::vector<StockEntry> list();
    const StockEntry& entry(const std::string& below);

    EventLoop loop;
    LoopSchedule schedule{loop.get_executor()};
    Timestamp now = std::chrono::system_clock::now();
    store::MemoryStore store{loop.get_executor(), [this] { return now; }};
    RemovingBackend backend;
    Images images{backend, schedule};
    std::set<std::string> used_here;
    int busy = 0;  // questions that are answered: VMs start
    bool up = true;
    std::vector<std::string> loaded{"lxc-unionfs"};
    OsfId osf;
    UserId user;
    DiId di;  // DI-desktop.tar.gz
    VmId vm;

    void delete_vm(VmId which) { REQUIRE(ask(store.delete_vm(which)).ok()); }
    void delete_di(DiId which) { REQUIRE(ask(store.delete_di(which)).ok()); }
    void order_start();
    // The VM has once run, and made it.
    void remember_checkpoint(const std::string& at);
    [[nodiscard]] config::View view() const;
    // As after a restart of hkd.
    void restart() { collector_ = std::make_unique<Collector>(parts()); }
    [[nodiscard]] Collector& collector() { return *collector_; }

private:
    Collector::Parts parts();
    NodeId add_node(const std::string& name, const std::string& address);

    std::string root_;
    config::View::Values configuration_;
    Aside aside_{loop, schedule};
    std::unique_ptr<Collector> collector_;
    std::vector<StockEntry> listed_;
};

// Whatever is needed by nobody, however young.
CollectOrder at_once();
// What was removed.
std::vector<std::string> names_of(const Collection& collection);

}  // namespace qvd::hkd::test

template <class T>
qvd::Result<T> qvd::hkd::test::Storehouse::ask(boost::asio::awaitable<Result<T>> operation) {
    std::optional<Result<T>> answer;
    const auto keep = [](boost::asio::awaitable<Result<T>> asked,
                         std::optional<Result<T>>* into) -> boost::asio::awaitable<void> {
        into->emplace(co_await std::move(asked));
    };
    spawn(loop.get_executor(), keep(std::move(operation), &answer), 0);
    const auto work = boost::asio::make_work_guard(loop);
    loop.restart();
    while (!answer) loop.run_one();
    return std::move(*answer);
}
