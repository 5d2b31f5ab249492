#include "bench.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;

TEST_CASE("a VM has one live session, and the second one learns who holds it") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const auto first = bench.must(store.acquire_session(bench.session_of(farm, "w1")));
    REQUIRE(first.session.has_value());
    CHECK(first.session->state == SessionState::connecting);
    CHECK(first.session->client_address == "192.0.2.7");
    const auto second = bench.must(store.acquire_session(bench.session_of(farm, "w2")));
    CHECK_FALSE(second.session.has_value());
    REQUIRE(second.holder.has_value());
    CHECK(second.holder->worker == "w1");
    CHECK(second.holder->node == farm.node);
    bench.must(store.end_session(first.session->id, "bye"));
    bench.must(store.end_session(first.session->id, "bye"));
    CHECK(bench.must(store.acquire_session(bench.session_of(farm, "w2"))).session.has_value());
    const VmRecord record = bench.vm(farm.vm);
    CHECK(record.session->worker == "w2");
    CHECK(record.session_node_name == "node1");
}

TEST_CASE("of two sessions acquired at once exactly one is live") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    for (int round = 0; round < 60; ++round) {
        const auto [one, two] = bench.race(store.acquire_session(bench.session_of(farm, "w1")),
                                           store.acquire_session(bench.session_of(farm, "w2")));
        REQUIRE(one.ok());
        REQUIRE(two.ok());
        CHECK(one->session.has_value() != two->session.has_value());
        const Acquired& winner = one->session ? *one : *two;
        const Acquired& loser = one->session ? *two : *one;
        REQUIRE(loser.holder.has_value());
        CHECK(loser.holder->id == winner.session->id);
        bench.must(store.end_session(winner.session->id, ""));
    }
}

TEST_CASE("a session that was asked to end does not become connected") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const auto first = bench.must(store.acquire_session(bench.session_of(farm, "w1")));
    bench.must(store.request_abort(farm.vm));
    CHECK(bench.refusal(store.session_connected(first.session->id)) == "session.aborted");
    bench.must(store.end_session(first.session->id, "taken over"));
    CHECK(bench.refusal(store.session_connected(first.session->id)) == "session.ended");
    bench.must(store.request_abort(farm.vm));
    const auto second = bench.must(store.acquire_session(bench.session_of(farm, "w2")));
    bench.must(store.session_connected(second.session->id));
    CHECK(bench.vm(farm.vm).session->state == SessionState::connected);
    CHECK(bench.refusal(store.session_connected(SessionId{99999})) == "session.not_found");
    CHECK(bench.refusal(store.end_session(SessionId{99999}, "")) == "session.not_found");
    CHECK(bench.refusal(store.request_abort(VmId{99999})) == "vm.not_found");
}

TEST_CASE("a session belongs to a VM, a user and a node that exist, and to an address") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    NewSession session = bench.session_of(farm, "w");
    session.vm = VmId{99999};
    CHECK(bench.refusal(store.acquire_session(session)) == "vm.not_found");
    session = bench.session_of(farm, "w");
    session.user = UserId{99999};
    CHECK(bench.refusal(store.acquire_session(session)) == "user.not_found");
    session = bench.session_of(farm, "w");
    session.node = NodeId{99999};
    CHECK(bench.refusal(store.acquire_session(session)) == "node.not_found");
    session = bench.session_of(farm, "w");
    session.client_address = "192.0.2.7:555";
    CHECK(bench.refusal(store.acquire_session(session)) == "address.invalid");
    session.client_address = "fe80::1%eth0";
    CHECK(bench.must(store.acquire_session(session)).session->client_address == "fe80::1");
}

TEST_CASE("the sessions that are named are reset, and no others") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    Bench::Farm second = farm;
    second.vm = bench.add_vm(farm, "vm2");
    const auto one = bench.must(store.acquire_session(bench.session_of(farm, "w1")));
    const auto two = bench.must(store.acquire_session(bench.session_of(second, "w2")));
    CHECK(bench.must(store.sessions_on(farm.node)).size() == 2);
    CHECK(bench.must(store.reset_sessions({})) == 0);
    CHECK(bench.must(store.reset_sessions({one.session->id, SessionId{99999}})) == 1);
    CHECK(bench.must(store.reset_sessions({one.session->id})) == 0);
    const auto left = bench.must(store.sessions_on(farm.node));
    REQUIRE(left.size() == 1);
    CHECK(left[0].worker == "w2");
    // Whoever took the first one's VM since it was looked at keeps it.
    const auto later = bench.must(store.acquire_session(bench.session_of(farm, "w1")));
    CHECK(bench.must(store.reset_sessions({one.session->id})) == 0);
    CHECK(bench.must(store.reset_sessions({later.session->id, two.session->id})) == 2);
}

TEST_CASE("one look shows a broker what it waits for and who is to let go") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    auto look = bench.must(store.broker_look(farm.node, {farm.vm, VmId{99999}}));
    REQUIRE(look.vms.size() == 1);
    CHECK(look.vms.at(farm.vm) == BrokerLook::Glimpse{});
    CHECK(look.unwanted.empty());
    const auto held = bench.must(store.acquire_session(bench.session_of(farm, "w1")));
    bench.must(store.order_start(farm.vm, farm.node));
    look = bench.must(store.broker_look(farm.node, {farm.vm}));
    CHECK(look.vms.at(farm.vm).session == held.session->id);
    CHECK(look.vms.at(farm.vm).commanded);
    CHECK(look.unwanted.empty());
    bench.must(store.take_start(farm.vm, farm.node));
    bench.must(store.request_abort(farm.vm));
    look = bench.must(store.broker_look(farm.node, {farm.vm}));
    CHECK(look.vms.at(farm.vm).state == VmState::starting);
    CHECK(look.vms.at(farm.vm).phase == 1);
    CHECK(look.vms.at(farm.vm).incarnation == 1);
    CHECK_FALSE(look.vms.at(farm.vm).commanded);
    REQUIRE(look.unwanted.size() == 1);
    CHECK(look.unwanted.at(held.session->id) == farm.vm);
    CHECK(bench.must(store.broker_look(NodeId{99999}, {})).unwanted.empty());
    bench.must(store.end_session(held.session->id, ""));
    CHECK(bench.must(store.broker_look(farm.node, {})).unwanted.empty());
}

TEST_CASE("nodes are claimed, report, and an older hkd may not write any more") {
    Bench bench;
    auto& store = bench.store();
    const NodeId node = bench.must(store.add_node("n", "10.3.0.9"));
    CHECK(bench.refusal(store.add_node("n", "10.3.0.8")) == "node.exists");
    CHECK(bench.refusal(store.add_node("m", "10.3.0.9")) == "node.address_taken");
    CHECK(bench.refusal(store.add_node("m", "here")) == "address.invalid");
    const std::int64_t first = bench.must(store.claim_node(node, "boot1"));
    const std::int64_t second = bench.must(store.claim_node(node, "boot2"));
    CHECK(second == first + 1);
    CHECK(bench.refusal(store.heartbeat(node, first, {})) == "node.superseded");
    CHECK(bench.refusal(store.set_node_state(node, first, NodeState::running, "")) ==
          "node.superseded");
    CHECK(bench.refusal(store.heartbeat(NodeId{99999}, 1, {})) == "node.not_found");
    bench.must(store.heartbeat(node, second, {1000.5, 400.25, 4, 0.75, 9000}));
    bench.must(store.set_node_state(node, second, NodeState::running, "fine"));
    const auto found = bench.must(store.node("n"));
    REQUIRE(found.has_value());
    CHECK(found->runtime.load.memory_free_mib == 400.25);
    CHECK(found->runtime.load.cpu_idle == 0.75);
    CHECK(found->runtime.load.cpus == 4);
    CHECK(found->runtime.boot_id == "boot2");
    CHECK(found->runtime.reason == "fine");
    CHECK(found->runtime.seen.has_value());
    REQUIRE(found->silence.has_value());
    CHECK(*found->silence < std::chrono::minutes(1));
    CHECK_FALSE(bench.must(store.node("x")).has_value());
}

TEST_CASE("a node that runs goes on running when the hkd of the same boot is replaced") {
    Bench bench;
    auto& store = bench.store();
    const NodeId node = bench.must(store.add_node("n", "10.3.0.9"));
    const auto state = [&] { return bench.must(store.node("n"))->runtime.state; };
    const std::int64_t first = bench.must(store.claim_node(node, "boot1"));
    CHECK(state() == NodeState::starting);
    bench.must(store.heartbeat(node, first, {1000.5, 400.25, 4, 0.75, 9000}));
    // Not up yet: nothing to go on with.
    const std::int64_t second = bench.must(store.claim_node(node, "boot1"));
    CHECK(state() == NodeState::starting);
    bench.must(store.set_node_state(node, second, NodeState::running, ""));
    const std::int64_t third = bench.must(store.claim_node(node, "boot1"));
    CHECK(third == second + 1);
    CHECK(state() == NodeState::running);
    CHECK(bench.refusal(store.heartbeat(node, second, {})) == "node.superseded");
    bench.must(store.claim_node(node, "boot2"));
    CHECK(state() == NodeState::starting);
}

TEST_CASE("counters count") {
    Bench bench;
    const auto farm = bench.farm();
    for (const NodeCounter counter :
         {NodeCounter::http_requests, NodeCounter::auth_attempts, NodeCounter::auth_ok,
          NodeCounter::nx_attempts, NodeCounter::nx_ok, NodeCounter::short_sessions})
        bench.must(bench.store().count(farm.node, counter, 2));
    bench.must(bench.store().count(farm.node, NodeCounter::nx_ok, 3));
    const NodeCounters counters = bench.must(bench.store().nodes())[0].counters;
    CHECK(counters.http_requests == 2);
    CHECK(counters.nx_ok == 5);
    CHECK(counters.short_sessions == 2);
    CHECK(bench.refusal(bench.store().count(NodeId{99999}, NodeCounter::nx_ok, 1)) ==
          "node.not_found");
}

TEST_CASE("a node with VMs or live sessions stays, and so does one that lives") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.must(store.order_start(farm.vm, farm.node));
    CHECK(bench.refusal(store.delete_node(farm.node)) == "node.has_vms");
    bench.must(store.order_stop(farm.vm));
    const auto session = bench.must(store.acquire_session(bench.session_of(farm, "w")));
    CHECK(bench.refusal(store.delete_node(farm.node)) == "node.has_sessions");
    bench.must(store.end_session(session.session->id, ""));
    CHECK(bench.refusal(store.delete_node(farm.node)) == "node.alive");
    bench.must(store.set_node_state(farm.node, farm.epoch, NodeState::stopped, ""));
    bench.must(store.delete_node(farm.node));
    CHECK(bench.refusal(store.delete_node(farm.node)) == "node.not_found");
}
