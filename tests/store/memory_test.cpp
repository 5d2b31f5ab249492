// What only the memory store does.
#include "await.hpp"
#include "base/clock.hpp"
#include "store/memory_store.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::store;

using test::run_on;

TEST_CASE("a memory store that is switched off is down, and tells when it is back") {
    boost::asio::io_context loop;
    MemoryStore store(loop.get_executor());
    int heard = 0;
    const auto token = store.listen([&](const Announcement&) { ++heard; });
    store.fail_with_unavailable(true);
    const auto down = run_on(loop, store.users());
    REQUIRE_FALSE(down.ok());
    CHECK(down.error().kind() == ErrorKind::unavailable);
    CHECK(down.error().code() == "store.down");
    store.fail_with_unavailable(false);
    CHECK(run_on(loop, store.users()).ok());
    CHECK(heard >= 1);
}

TEST_CASE("a memory store takes its time from the test, and promised memory lapses with it") {
    boost::asio::io_context loop;
    FakeClock clock;
    MemoryStore store(loop.get_executor(), [&] {
        return Timestamp(
            std::chrono::duration_cast<Timestamp::duration>(clock.now().time_since_epoch()));
    });
    Osf wanted;
    wanted.name = "o";
    const OsfId osf = run_on(loop, store.add_osf(wanted)).value();
    const UserId user = run_on(loop, store.add_user("u", std::nullopt)).value();
    const NodeId node = run_on(loop, store.add_node("n", "10.0.0.1")).value();
    const std::int64_t epoch = run_on(loop, store.claim_node(node, "b")).value();
    NodeLoad load;
    load.memory_total_mib = 256;
    REQUIRE(run_on(loop, store.heartbeat(node, epoch, load)).ok());
    REQUIRE(run_on(loop, store.set_node_state(node, epoch, NodeState::running, "")).ok());
    const auto add = [&](const char* name, const char* address) {
        return run_on(loop, store.add_vm({name, user, osf, "default", address, "", ""})).value();
    };
    const VmId first = add("a", "10.0.1.1");
    const VmId second = add("b", "10.0.1.2");
    REQUIRE(run_on(loop, store.order_start(first, node)).ok());
    CHECK_FALSE(run_on(loop, store.order_start(second, node)).ok());
    clock.advance(std::chrono::minutes(11));
    CHECK(run_on(loop, store.order_start(second, node)).ok());
}
