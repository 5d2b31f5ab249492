// What a store announces, and what it does not.
#include "heard.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;
using test::Heard;
using What = Announcement::What;

TEST_CASE("orders, states, aborts, ends and configuration are announced") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    Heard heard(bench);
    bench.must(store.order_start(farm.vm, farm.node));
    const Announcement start = heard.await(What::vm_command);
    CHECK(start.vm == farm.vm);
    CHECK(start.node == farm.node);
    bench.must(store.order_stop(farm.vm));
    CHECK(heard.await(What::vm_state).vm == farm.vm);
    bench.start(farm.vm, farm.node);
    CHECK(heard.await(What::vm_state).node == farm.node);
    const auto session = bench.must(store.acquire_session(bench.session_of(farm, "w")));
    bench.must(store.request_abort(farm.vm));
    const Announcement abort = heard.await(What::session_abort);
    CHECK(abort.vm == farm.vm);
    CHECK(abort.node == farm.node);
    bench.must(store.end_session(session.session->id, ""));
    CHECK(heard.await(What::session_end).vm == farm.vm);
    bench.must(store.set_configuration({{"a", "b"}}));
    heard.await(What::configuration);
    bench.must(store.set_certificate({"c", Secret("k"), "", ""}));
    heard.await(What::configuration);
    bench.must(store.order_stop(farm.vm));
    heard.await(What::vm_command);
}

TEST_CASE("heart-beats and counters are not announced") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    Heard heard(bench);
    bench.must(store.heartbeat(farm.node, farm.epoch, {}));
    bench.must(store.agent_seen(farm.vm, 1));
    bench.must(store.report_usage(farm.node, {{farm.vm, 1, 1, 1}}));
    bench.must(store.count(farm.node, NodeCounter::nx_ok, 1));
    bench.must(store.set_configuration({{"a", "b"}}));
    bench.turn_until([&] { return !heard.all.empty(); });
    CHECK(heard.all.front().what == What::configuration);
}

TEST_CASE("who has given his token away hears nothing any more") {
    Bench bench;
    Heard heard(bench);
    Heard other(bench);
    heard.token.reset();
    bench.must(bench.store().set_configuration({{"a", "b"}}));
    other.await(What::configuration);
    CHECK(heard.all.empty());
}

namespace {

// A farm that somebody listens to who keeps an inventory of its VMs.
struct Watched {
    Watched() : farm(bench.farm()), store(bench.store()), heard(bench) {}
    // Whether an inventory has to be taken again since the last time that this was asked.
    bool outdated() { return heard.count(What::vms) > 0; }
    [[nodiscard]] VmTransition to(VmState from, VmState state, int phase = 0) const {
        return {farm.vm, 1, {from}, state, phase, "", false, false, "", std::nullopt};
    }

    Bench bench;
    Bench::Farm farm;
    Store& store;
    Heard heard;
};

}  // namespace

TEST_CASE("whoever adds, edits or deletes a VM outdates inventories") {
    Watched on;
    auto& store = on.store;
    CHECK_FALSE(on.outdated());
    const VmId vm = on.bench.add_vm(on.farm, "second");
    CHECK(on.outdated());
    const UserId bob = on.bench.must(store.add_user("bob", std::nullopt));
    Osf osf;
    osf.name = "other";
    const OsfId other = on.bench.must(store.add_osf(osf));
    CHECK_FALSE(on.outdated());
    const std::vector<Store::VmEdit> shown{{"renamed", {}, {}, {}, {}},
                                           {{}, "head", {}, {}, {}},
                                           {{}, {}, {}, bob, {}},
                                           {{}, {}, {}, {}, other}};
    for (const Store::VmEdit& edit : shown) {
        on.bench.must(store.edit_vm(vm, edit));
        CHECK(on.outdated());
        // It is so already.
        on.bench.must(store.edit_vm(vm, edit));
        CHECK_FALSE(on.outdated());
    }
    on.bench.must(store.edit_vm(vm, {{}, {}, "10.3.1.7", {}, {}}));
    CHECK_FALSE(on.outdated());
    on.bench.must(store.delete_vm(vm));
    CHECK(on.outdated());
}

TEST_CASE("node, state and blocked outdate inventories at each step of a VM's life") {
    Watched on;
    auto& store = on.store;
    on.bench.must(store.order_start(on.farm.vm, on.farm.node));
    CHECK(on.outdated());
    on.bench.must(store.order_stop(on.farm.vm));
    CHECK(on.outdated());
    on.bench.must(store.order_start(on.farm.vm, on.farm.node));
    CHECK(on.outdated());
    (void)on.bench.must(store.take_start(on.farm.vm, on.farm.node));
    CHECK(on.outdated());
    on.bench.must(store.transition(on.to(VmState::starting, VmState::running)));
    CHECK(on.outdated());
    on.bench.must(store.set_vm_blocked(on.farm.vm, true));
    CHECK(on.outdated());
    on.bench.must(store.set_vm_blocked(on.farm.vm, true));
    CHECK_FALSE(on.outdated());
    on.bench.must(store.transition(on.to(VmState::running, VmState::stopping, 1)));
    CHECK(on.outdated());
    on.bench.must(store.clear_vm(on.to(VmState::stopping, VmState::stopped)));
    CHECK(on.outdated());
    // Without an image its start fails at once.
    on.bench.must(store.edit_vm(on.farm.vm, {{}, "none", {}, {}, {}}));
    on.bench.must(store.order_start(on.farm.vm, on.farm.node));
    CHECK(on.outdated());
    CHECK(on.bench.refusal(store.take_start(on.farm.vm, on.farm.node)) == "di.not_tagged");
    CHECK(on.outdated());
}

TEST_CASE("what a running VM does all the time outdates no inventory") {
    Watched on;
    auto& store = on.store;
    const VmId vm = on.farm.vm;
    on.bench.must(store.order_start(vm, on.farm.node));
    (void)on.bench.must(store.take_start(vm, on.farm.node));
    CHECK(on.outdated());
    on.bench.must(store.set_launch(vm, 1, on.farm.di.id, "puppet"));
    on.bench.must(store.transition(on.to(VmState::starting, VmState::starting, 2)));
    on.bench.must(store.set_endpoints(vm, 1, "10.3.1.250", {{"nx", "tcp", "", 5000}}));
    CHECK_FALSE(on.outdated());
    on.bench.must(store.transition(on.to(VmState::starting, VmState::running)));
    CHECK(on.outdated());
    on.bench.must(store.agent_seen(vm, 1));
    on.bench.must(store.report_usage(on.farm.node, {{vm, 1, 1, 1}}));
    on.bench.must(store.report_usage(on.farm.node, {{vm, 1, 2, 2}}));
    on.bench.must(store.forget_failures(vm, 1));
    on.bench.must(store.set_real_user(vm, on.farm.user));
    on.bench.must(store.heartbeat(on.farm.node, on.farm.epoch, {}));
    on.bench.must(store.count(on.farm.node, NodeCounter::http_requests, 7));
    on.bench.must(store.set_node_blocked(on.farm.node, true));
    on.bench.must(store.set_properties(Owner::vm, vm.value(), {{"colour", "red"}}));
    on.bench.must(store.set_password_hash(on.farm.user, Secret("other")));
    on.bench.must(store.order_stop(vm));
    on.bench.must(store.take_stop(vm, on.farm.node));
    CHECK_FALSE(on.outdated());
}

TEST_CASE("a user who is connected outdates inventories, and so does his leaving, but no attempt") {
    Watched on;
    auto& store = on.store;
    const auto attempt = on.bench.must(store.acquire_session(on.bench.session_of(on.farm, "w:1")));
    on.bench.must(store.request_abort(on.farm.vm));
    on.bench.must(store.end_session(attempt.session->id, ""));
    CHECK_FALSE(on.outdated());
    const auto session = on.bench.must(store.acquire_session(on.bench.session_of(on.farm, "w:2")));
    CHECK_FALSE(on.outdated());
    on.bench.must(store.session_connected(session.session->id));
    CHECK(on.outdated());
    on.bench.must(store.session_connected(session.session->id));
    CHECK_FALSE(on.outdated());
    on.bench.must(store.end_session(session.session->id, ""));
    CHECK(on.outdated());
    on.bench.must(store.end_session(session.session->id, ""));
    CHECK_FALSE(on.outdated());
    const auto lost = on.bench.must(store.acquire_session(on.bench.session_of(on.farm, "w:3")));
    on.bench.must(store.session_connected(lost.session->id));
    CHECK(on.outdated());
    CHECK(on.bench.must(store.reset_sessions({lost.session->id})) == 1);
    CHECK(on.outdated());
}

TEST_CASE("an OSF's name and what a tag means outdate inventories") {
    Watched on;
    auto& store = on.store;
    on.bench.must(store.edit_osf(on.farm.osf, {{}, 300, {}, {}}));
    CHECK_FALSE(on.outdated());
    on.bench.must(store.edit_osf(on.farm.osf, {"renamed", {}, {}, {}}));
    CHECK(on.outdated());
    const Di second = on.bench.must(store.add_di({on.farm.osf, "second.tar", ""}));
    CHECK(on.outdated());
    on.bench.must(store.tag_di(second.id, "default"));
    CHECK(on.outdated());
    on.bench.must(store.tag_di(second.id, "default"));
    CHECK_FALSE(on.outdated());
    on.bench.must(store.untag_di(second.id, "default"));
    CHECK(on.outdated());
    CHECK(on.bench.refusal(store.untag_di(second.id, "default")) == "tag.not_found");
    CHECK_FALSE(on.outdated());
    on.bench.must(store.delete_di(second.id));
    CHECK(on.outdated());
}
