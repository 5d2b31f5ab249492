#include "tests/plugin/room.hpp"

#include <atomic>
#include <thread>

namespace qvd::plugin {

using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::Signal;

namespace {

// Two calls that each wait until the other one is there too, or until they give up.
struct Meeting {
    std::atomic<int> inside{0};
    std::atomic<int> most{0};

    void visit(Milliseconds stay) {
        const int now = ++inside;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        const auto end = std::chrono::steady_clock::now() + stay;
        while (most < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        --inside;
    }
};

// Makes one call on each instance at once and says how many were inside at the same time.
int most_at_once(Room& room, Instance& first, Instance& second, Milliseconds stay) {
    Meeting meeting;
    int done = 0;
    for (Instance* instance : {&first, &second})
        boost::asio::co_spawn(room.loop,
                              instance->call({},
                                             [&](qvd_call*) -> qvd_status {
                                                 meeting.visit(stay);
                                                 return QVD_OK;
                                             }),
                              [&](const std::exception_ptr&, const Outcome&) { ++done; });
    room.turn_until([&] { return done == 2; });
    return meeting.most;
}

constexpr Milliseconds apart{150};  // long enough for the second to come, were it let
constexpr Milliseconds together = qvd::testing::patience;

}  // namespace

TEST_CASE("a serial plugin gets one call at a time, over all of its instances") {
    for (const char* file : {"puppet", "puppet-odd", "puppet-blocking"}) {
        CAPTURE(file);
        Room room;
        const auto first = room.registry.make(QVD_LOAD_BALANCER, file).value();
        const auto second = room.registry.make(QVD_AUTHENTICATOR, file).value();
        CHECK(most_at_once(room, *first, *second, apart) == 1);
        CHECK(most_at_once(room, *first, *first, apart) == 1);
    }
}

TEST_CASE("a plugin of one call for each instance gets as many calls as it has instances") {
    Room room;
    const auto first = room.registry.make(QVD_LOAD_BALANCER, "puppet-instance").value();
    const auto second = room.registry.make(QVD_AUTHENTICATOR, "puppet-instance").value();
    CHECK(most_at_once(room, *first, *second, together) == 2);
    CHECK(most_at_once(room, *first, *first, apart) == 1);
}

TEST_CASE("a concurrent plugin gets several calls at once in one instance") {
    Room room;
    const auto instance = room.registry.make(QVD_LOAD_BALANCER, "puppet-concurrent").value();
    CHECK(most_at_once(room, *instance, *instance, together) == 2);
}

TEST_CASE("a [loop] function runs on the event loop's thread, and on a worker's if it may block") {
    for (const auto& [name, on_loop] : {std::pair{"puppet", true},
                                        {"puppet-concurrent", true},
                                        {"puppet-instance", true},
                                        {"puppet-blocking", false}}) {
        const std::string file = name;
        CAPTURE(file);
        Room room;
        const auto instance = room.registry.make(QVD_LOAD_BALANCER, file).value();
        std::thread::id ran_on;
        const Outcome outcome = room.run(instance->call_quick({}, [&](qvd_call*) -> qvd_status {
            ran_on = std::this_thread::get_id();
            return QVD_OK;
        }));
        CHECK(outcome.status == QVD_OK);
        CHECK((ran_on == std::this_thread::get_id()) == on_loop);
    }
}

TEST_CASE("a [loop] function does not wait on the event loop for a call that is under way") {
    Room room;
    const auto instance = room.registry.make(QVD_LOAD_BALANCER, "puppet").value();
    Signal inside;
    Signal leave;
    int done = 0;
    const auto count = [&](const std::exception_ptr&, const Outcome&) { ++done; };
    boost::asio::co_spawn(room.loop,
                          instance->call({},
                                         [&](qvd_call*) -> qvd_status {
                                             inside.set();
                                             return leave.wait() ? QVD_OK : QVD_INTERNAL;
                                         }),
                          count);
    room.turn_until([&] { return inside.is_set(); });
    boost::asio::co_spawn(
        room.loop, instance->call_quick({}, [](qvd_call*) -> qvd_status { return QVD_OK; }), count);
    room.loop.poll();
    CHECK(done == 0);
    leave.set();
    room.turn_until([&] { return done == 2; });
}

TEST_CASE("destroy() comes once the last call has ended, and not on the event loop's thread") {
    Puppet puppet;
    Signal destroyed;
    std::thread::id destroyed_on;
    puppet.destroy = [&] {
        destroyed_on = std::this_thread::get_id();
        destroyed.set();
    };
    Room room;
    auto instance = room.make(QVD_LOAD_BALANCER, puppet);
    qvd_call* const pending = qvd::testing::left_pending(room, *instance);
    instance.reset();
    CHECK_FALSE(destroyed.wait(Milliseconds{50}));
    pending->complete(pending, QVD_OK);
    CHECK(destroyed.wait());
    CHECK(destroyed_on != std::this_thread::get_id());
}

TEST_CASE("what a plugin throws from create(), destroy() or cancel() goes no further") {
    const log::Capture log;
    Puppet puppet;
    Signal destroyed;
    puppet.destroy = [&] {
        destroyed.set();
        throw std::runtime_error("from destroy");
    };
    puppet.cancel = [](std::uint64_t) { throw 1; };
    {
        Room room;
        auto instance = room.make(QVD_LOAD_BALANCER, puppet);
        qvd_call* const pending = qvd::testing::left_pending(room, *instance);
        pending->complete(pending, QVD_CANCELLED);
        instance.reset();
        CHECK(destroyed.wait());
    }
    CHECK(log.contains("from destroy(): from destroy"));
    CHECK(log.contains("from cancel(): of an unknown type"));
}

}  // namespace qvd::plugin
