// A node's way from unconfigured to running and back, over a database in memory.
#include "hkd/node_life.hpp"

#include "base/log.hpp"
#include "tests/hkd/world.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;

namespace {

config::View file_view(const std::string& text) {
    const config::View whole = test_view();
    auto file = config::Properties::parse(text, "test.conf").value();
    file.set("path.run", run_folder(), "test.conf");
    return {std::make_shared<config::KeySet>(whole.keys()), std::move(file)};
}

constexpr const char* embedded_file = R"(
nodename = alpha
vm.hypervisor = lxc
vm.network.ip.start = 10.3.15.50
vm.network.netmask = 24
)";

// One node; its loop runs until everything that needs no time has happened.
class OneNode {
public:
    explicit OneNode(const std::string& file)
        : schedule(world, loop),
          backend(world, schedule),
          agents(world, schedule),
          store(loop.get_executor()),
          node(parts(), file_view(file)) {
        listening = store.listen(
            [this](const store::Announcement& announcement) { node.heard(announcement); });
    }

    void begin() {
        const auto live = [](OneNode* me) -> boost::asio::awaitable<void> {
            co_await me->node.run();
            me->ended = true;
        };
        spawn(loop.get_executor(), live(this), 0);
        settle();
    }
    void settle() {
        while (loop.poll() > 0) loop.restart();
        loop.restart();
    }
    void pass(Milliseconds time) {
        const auto limit = world.clock.now() + time;
        for (;;) {
            settle();
            auto next = schedule.next().value_or(Alarm::never);
            if (const auto event = world.next_event()) next = std::min(next, *event);
            if (next > limit) break;
            if (next > world.clock.now())
                world.clock.advance(std::chrono::ceil<Milliseconds>(next - world.clock.now()));
            world.run_events();
            schedule.ring_due();
        }
        world.clock.advance(std::chrono::ceil<Milliseconds>(limit - world.clock.now()));
    }
    template <class T>
    T ask(boost::asio::awaitable<Result<T>> operation) {
        std::optional<Result<T>> answer;
        const auto keep = [](boost::asio::awaitable<Result<T>> asked,
                             std::optional<Result<T>>* into) -> boost::asio::awaitable<void> {
            into->emplace(co_await std::move(asked));
        };
        spawn(loop.get_executor(), keep(std::move(operation), &answer), 0);
        settle();
        if constexpr (!std::is_void_v<T>) return std::move(*answer).value();
    }
    void configure(std::map<std::string, std::string> values) {
        const auto set =
            [](OneNode* me,
               std::map<std::string, std::string> all) -> boost::asio::awaitable<void> {
            (void)co_await me->store.set_configuration(std::move(all));
        };
        spawn(loop.get_executor(), set(this, std::move(values)), 0);
        settle();
    }
    VmId add_vm() {
        Osf osf;
        osf.name = "desktop";
        store::NewVm vm;
        vm.name = "vm";
        vm.user = ask(store.add_user("bob", std::nullopt));
        vm.osf = ask(store.add_osf(osf));
        vm.pool_first = "10.3.15.50";
        vm.pool_last = "10.3.15.254";
        (void)ask(store.add_di({vm.osf, "desktop.tar.gz", ""}));
        return ask(store.add_vm(vm));
    }
    void order_start(VmId vm) {
        const auto order = [](OneNode* me, VmId what,
                              NodeId where) -> boost::asio::awaitable<void> {
            (void)co_await me->store.order_start(what, where);
        };
        spawn(loop.get_executor(), order(this, vm, ask(store.node("alpha"))->node.id), 0);
    }
    NodeRuntime row() { return ask(store.node("alpha"))->runtime; }

    NodeLife::Parts parts() {
        NodeLife::Parts parts{loop.get_executor(),
                              store,
                              backend,
                              agents,
                              schedule,
                              nullptr,
                              {},
                              {},
                              {},
                              {},
                              {},
                              {},
                              {}};
        parts.load_plugins = [this] {
            return plugin_problem ? Result<void>(*plugin_problem) : Result<void>();
        };
        parts.configured = [](const config::View&) {};
        parts.tell = [this](const std::string& sentence) { status = sentence; };
        parts.ready = [this] { ready = true; };
        parts.lost = [this](const std::string& why) { lost = why; };
        parts.boot_id = "boot-1";
        parts.host_name = "alpha";
        return parts;
    }

    World world;
    FakeSchedule schedule;
    FakeBackend backend;
    FakeAgents agents;
    boost::asio::io_context loop;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> busy{
        loop.get_executor()};
    store::MemoryStore store;
    std::optional<Error> plugin_problem;
    std::string status;
    bool ready = false;
    std::string lost;
    bool ended = false;
    NodeLife node;
    store::Store::Token listening;
};

}  // namespace

TEST_CASE("with the embedded database a node registers itself and runs") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.begin();
    one.pass(Milliseconds{100});
    CHECK(one.ready);
    CHECK(one.row().state == NodeState::running);
    CHECK(one.row().load.memory_total_mib > 0);
    CHECK(one.ask(one.store.node("alpha"))->node.address == "10.3.15.1");
}

TEST_CASE("what the hypervisor says of the node counts, if it is believable and there in time") {
    const log::Capture log;
    OneNode one(embedded_file);
    one.world.capacity = plugin::NodeCapacity{6, 64'000, 48'000, 0.25, 0};
    one.begin();
    one.pass(Milliseconds{100});
    REQUIRE(one.ready);
    CHECK(one.row().load.cpus == 6);
    CHECK(one.row().load.memory_total_mib == 64'000);
    CHECK(one.row().load.memory_free_mib == 48'000);
    CHECK(one.row().load.cpu_idle == 0.25);
    const auto before = one.row().seen;
    SUBCASE("more memory free than there is") {
        one.world.capacity->free_memory_mib = 65'000;
        one.pass(Milliseconds{21'000});
        CHECK(log.contains("event=node.capacity_measured code=backend.answer"));
    }
    SUBCASE("no answer in time") {
        one.world.capacity_takes = Milliseconds{60'000};
        one.pass(Milliseconds{21'000});
    }
    SUBCASE("no word any more") {
        one.world.capacity.reset();
        one.pass(Milliseconds{21'000});
    }
    // The kernel's figures, and the heart beats on.
    CHECK(one.row().load.memory_total_mib > 0);
    CHECK(one.row().load.memory_total_mib != 64'000);
    CHECK(one.row().seen > before);
}

TEST_CASE("a node runs while one of its hypervisors is silent, says so, and until when") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    const VmId vm = one.add_vm();
    one.ask(one.store.set_properties(store::Owner::vm, vm.value(), {{"vm.hypervisor", "kvm"}}));
    one.world.silent = {"kvm"};
    one.begin();
    one.pass(Milliseconds{100});
    CHECK(one.ready);
    CHECK(one.row().state == NodeState::running);
    CHECK(one.row().reason ==
          "the hypervisor kvm does not say what it runs: it is away; until it does, its virtual "
          "machines are neither started nor given up here");
    CHECK(one.status == one.row().reason);
    one.world.silent.clear();
    one.pass(Milliseconds{60'000});
    CHECK(one.row().state == NodeState::running);
    CHECK(one.row().reason.empty());
    CHECK(one.status.empty());
}

TEST_CASE("a node does not run while its default hypervisor is silent") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.world.silent = {"lxc-unionfs"};
    one.begin();
    one.pass(Milliseconds{60'000});
    CHECK(one.row().state == NodeState::starting);
    CHECK(one.row().reason.find("lxc-unionfs does not say what it runs") != std::string::npos);
    one.world.silent.clear();
    one.pass(Milliseconds{60'000});
    CHECK(one.row().state == NodeState::running);
}

TEST_CASE("a node whose hypervisor hangs when it comes up is not taken for dead") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.world.survey_takes = Milliseconds{120'000};
    one.begin();
    one.pass(Milliseconds{60'000});
    CHECK_FALSE(one.ready);
    const auto seen = one.row().seen;
    REQUIRE(seen.has_value());
    one.pass(Milliseconds{20'000});
    CHECK(*one.row().seen > *seen);
    one.pass(Milliseconds{60'000});
    CHECK(one.ready);
}

TEST_CASE("a farm's node that is not registered says how, and runs once it is") {
    const log::Capture quiet;
    OneNode one(std::string(embedded_file) + "database.host = db1\n");
    one.begin();
    one.pass(Milliseconds{100});
    CHECK_FALSE(one.ready);
    CHECK(one.status.find("qa host add name=alpha") != std::string::npos);
    (void)one.ask(one.store.add_node("alpha", "10.3.15.2"));
    one.pass(Milliseconds{11'000});
    CHECK(one.ready);
    CHECK(one.status.empty());
}

TEST_CASE("a node that lacks a setting names it in its row, and goes on as soon as it is set") {
    const log::Capture quiet;
    OneNode one("nodename = alpha\nvm.hypervisor = lxc\nvm.network.netmask = 24\n");
    (void)one.ask(one.store.add_node("alpha", "10.3.15.1"));
    one.begin();
    one.pass(Milliseconds{100});
    CHECK(one.row().state == NodeState::starting);
    CHECK(one.row().reason.find("vm.network.ip.start") != std::string::npos);
    one.configure({{"vm.network.ip.start", "10.3.15.50"}});
    one.pass(Milliseconds{100});
    CHECK(one.row().state == NodeState::running);
    CHECK(one.row().reason.empty());
}

TEST_CASE("a plugin that cannot be loaded keeps the node from running, and is its reason") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.plugin_problem = Error{ErrorKind::not_found, "plugin.not_installed", "there is no lxd"};
    one.begin();
    one.pass(Milliseconds{100});
    CHECK(one.row().reason == "there is no lxd");
    one.plugin_problem.reset();
    one.pass(Milliseconds{11'000});
    CHECK(one.row().state == NodeState::running);
}

TEST_CASE("a running node reports its load every 10 s") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.begin();
    one.pass(Milliseconds{100});
    const auto first = one.row().seen;
    REQUIRE(first.has_value());
    one.pass(Milliseconds{10'100});
    CHECK(*one.row().seen > *first);
}

TEST_CASE("VMs that are slow to tell what they use do not make the node look dead") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.world.usage_takes = Milliseconds{120'000};
    one.begin();
    one.pass(Milliseconds{100});
    const VmId vm = one.add_vm();
    one.order_start(vm);
    one.pass(Milliseconds{15'000});
    REQUIRE(one.ask(one.store.vm(vm))->runtime.state == VmState::running);
    one.pass(Milliseconds{15'000});
    const auto seen = one.row().seen;
    one.pass(Milliseconds{20'000});
    CHECK(*one.row().seen > *seen);
}

TEST_CASE("an hkd that makes way for its successor leaves the node running") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.begin();
    one.pass(Milliseconds{100});
    one.node.hand_over();
    one.pass(Milliseconds{1'000});
    CHECK(one.ended);
    CHECK(one.row().state == NodeState::running);
}

TEST_CASE("a node that another hkd has claimed ends without touching its row") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.begin();
    one.pass(Milliseconds{100});
    const auto node = one.ask(one.store.node("alpha"))->node.id;
    (void)one.ask(one.store.claim_node(node, "boot-2"));
    one.pass(Milliseconds{11'000});
    CHECK(one.lost == "another hkd has claimed this node");
    CHECK(one.ended);
    CHECK(one.row().state == NodeState::starting);
}

TEST_CASE("a node whose row has been deleted ends, and the next hkd starts from there") {
    const log::Capture quiet;
    OneNode one(embedded_file);
    one.begin();
    one.pass(Milliseconds{100});
    const auto record = one.ask(one.store.node("alpha"));
    const auto node = record->node.id;
    // The row of a node that lives is refused; this one is said to have been stopped.
    one.ask(one.store.set_node_state(node, record->runtime.lease_epoch, NodeState::stopped, ""));
    one.ask(one.store.delete_node(node));
    one.pass(Milliseconds{11'000});
    CHECK(one.lost == "this node has been deleted from the farm");
    CHECK(one.ended);
}

TEST_CASE("a plain stop leaves the VMs, an evacuation does not") {
    const log::Capture quiet;
    bool evacuate = false;
    SUBCASE("plain") {
    }
    SUBCASE("with the VMs") {
        evacuate = true;
    }
    OneNode one(embedded_file);
    one.begin();
    one.pass(Milliseconds{100});
    const VmId id = one.add_vm();
    one.order_start(id);
    one.pass(Milliseconds{2'000});
    REQUIRE(one.ask(one.store.vm(id))->runtime.state == VmState::running);

    one.node.stop(evacuate);
    one.pass(Milliseconds{60'000});
    CHECK(one.ended);
    CHECK(one.row().state == NodeState::stopped);
    CHECK(one.world.processes.size() == (evacuate ? 0 : 1));
    CHECK(one.ask(one.store.vm(id))->runtime.state ==
          (evacuate ? VmState::stopped : VmState::running));
}
