// What each request comes to, by the state of the farm: status, sentence, and whether it is an
// error.
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>

#include <string_view>

using namespace qvd;
using namespace qvd::broker::test;

namespace {

struct Exchange {
    const char* when;
    void (*prepare)(Farm& farm);
    const char* method;
    const char* target;  // VM stands for the id of alice's VM
    std::uint16_t status;
    const char* body;  // how it begins
    const char* code;  // X-QVD-Error; empty: none
};

void as_it_is(Farm& /*farm*/) {
}
void blocked(Farm& farm) {
    (void)farm.run(farm.store->set_node_blocked(farm.node, true));
}
void stopped(Farm& farm) {
    const std::int64_t epoch = farm.run(farm.store->claim_node(farm.node, "boot")).value();
    (void)farm.run(farm.store->set_node_state(farm.node, epoch, NodeState::stopped, ""));
}
void unregistered(Farm& farm) {
    stopped(farm);
    REQUIRE(farm.run(farm.store->delete_node(farm.node)).ok());
}
template <VmState state>
void vm_is(Farm& farm) {
    farm.run_vm(1);
    const auto record = farm.run(farm.store->vm(farm.vm)).value();
    const int phase = state == VmState::zombie ? 1 : 0;
    const auto moved = farm.run(farm.store->transition(
        {farm.vm, record->runtime.incarnation, {VmState::running}, state, phase, ""}));
    REQUIRE(moved.ok());
}
void another_users(Farm& farm) {
    const UserId bob = farm.run(farm.store->add_user("bob", std::nullopt)).value();
    const auto mine = farm.run(farm.store->vm(farm.vm)).value();
    farm.vm =
        farm.run(farm.store->add_vm({"bobs", bob, mine->osf.id, "default", "10.3.15.8", "", ""}))
            .value();
}
void broken(Farm& farm) {
    farm.store_throws = true;
}

constexpr const char* stop = "/qvd/stop_vm?id=VM";

// As in the protocol: what real clients see.
const Exchange exchanges[] = {
    {"a node that serves", as_it_is, "GET", "/qvd/ping", 200, "I am alive!", ""},
    {"a blocked node", blocked, "GET", "/qvd/ping", 503, "Server is blocked", "node.blocked"},
    {"a stopped node", stopped, "GET", "/qvd/ping", 503, "Server is stopped", "node.state"},
    {"a node without a row", unregistered, "GET", "/qvd/ping", 503,
     "Host is not registered in the database", "node.unregistered"},

    {"a node that serves", as_it_is, "GET", "/qvd/list_of_vm", 200, "[", ""},
    {"a blocked node", blocked, "GET", "/qvd/list_of_vm", 503, "Server is blocked", "node.blocked"},
    {"a stopped node", stopped, "GET", "/qvd/list_of_vm", 503, "Server is stopped", "node.state"},
    {"a node without a row", unregistered, "GET", "/qvd/list_of_vm", 503,
     "Host is not registered in the database", "node.unregistered"},

    {"no id, as a real client's -r", as_it_is, "GET", "/qvd/stop_vm", 422,
     "parameter id is missing", "request.id_missing"},
    {"an id that is no number", as_it_is, "GET", "/qvd/stop_vm?id=x", 422,
     "parameter id is not a number", "request.id"},
    {"no such VM", as_it_is, "GET", "/qvd/stop_vm?id=999", 404,
     "The requested virtual machine does not exist", "vm.not_found"},
    {"another user's VM", another_users, "GET", stop, 403, "You are not allowed", "vm.not_allowed"},
    {"a VM that is stopped already", as_it_is, "GET", stop, 200, "Machine stopped", ""},
    {"a zombie", vm_is<VmState::zombie>, "GET", stop, 503,
     "The requested virtual machine is in an unstoppable state (zombie)", "vm.unstoppable"},
    {"a paused VM", vm_is<VmState::paused>, "GET", stop, 503,
     "The requested virtual machine is in an unstoppable state (paused)", "vm.unstoppable"},
    {"a suspended VM", vm_is<VmState::suspended>, "GET", stop, 503,
     "The requested virtual machine is in an unstoppable state (suspended)", "vm.unstoppable"},
    {"a blocked node", blocked, "GET", stop, 503, "Server is blocked", "node.blocked"},

    {"another method", as_it_is, "POST", "/qvd/list_of_vm", 405, "Only GET is understood here",
     "request.method"},
    {"a broken escape", as_it_is, "GET", "/qvd/connect_to_vm?id=%zz", 400,
     "the query holds a broken %XX escape", "request.target"},
    {"a connection by another method", as_it_is, "POST", "/qvd/connect_to_vm?id=1", 405,
     "Only GET is understood here", "request.method"},
    {"an unknown path", as_it_is, "GET", "/qvd/nothing", 404, "There is nothing here",
     "request.path"},
    {"a broken invariant", broken, "GET", "/qvd/ping", 500, "An internal error occurred",
     "internal"},
    {"a connection, and a broken invariant", broken, "GET", "/qvd/connect_to_vm?id=VM", 500,
     "An internal error occurred", "internal"},
};

std::string header_of(const net::Reply& reply, std::string_view name) {
    for (const auto& [key, value] : reply.headers)
        if (key == name) return value;
    return "";
}

}  // namespace

TEST_CASE("Every request that is no connection has its documented answer, whatever is wrong") {
    for (const Exchange& exchange : exchanges) {
        CAPTURE(std::string(exchange.target));
        CAPTURE(std::string(exchange.when));
        const log::Capture log;
        Farm farm;
        Worker worker(*farm.broker, "l7r-0-x");
        (void)farm.next<net::Configure>(worker);
        exchange.prepare(farm);
        std::string target = exchange.target;
        if (const auto at = target.find("VM"); at != std::string::npos)
            target.replace(at, 2, farm.vm.text());
        net::Request request = request_on(1, 1, target);
        request.method = exchange.method;
        worker.say(request);
        const net::Reply reply = farm.answer(worker);
        CHECK(reply.status == exchange.status);
        CHECK(reply.body.substr(0, std::string_view(exchange.body).size()) == exchange.body);
        CHECK(header_of(reply, "X-QVD-Error") == exchange.code);
        CHECK(log.contains("event=request.broken trace=l7r-0-x:1") == (exchange.status == 500));
        // A client that wants to connect reads to the end of the connection.
        CHECK(reply.upgrade_failed == target.starts_with("/qvd/connect_to_vm"));
    }
}
