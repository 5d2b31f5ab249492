#include "tests/plugin/room.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

namespace qvd::plugin {

using qvd::testing::lend;
using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::Signal;

namespace {

struct Bench {
    Puppet puppet;
    Room room;
    std::shared_ptr<Instance> instance = room.make(QVD_LOAD_BALANCER, puppet);

    Outcome call(Call::Function function, CallOptions options = {}) {
        return room.call(*instance, std::move(function), std::move(options));
    }
};

CallOptions within(Milliseconds limit) {
    CallOptions options;
    options.limit = limit;
    return options;
}

}  // namespace

TEST_CASE("what a call puts, and how it ends, is its outcome") {
    Bench bench;
    const Outcome outcome = bench.call([](qvd_call* call) -> qvd_status {
        call->put(call, lend("a"), lend("1"));
        call->put(call, lend("a"), lend("2"));
        call->put(call, lend("b"), {nullptr, 0});
        return QVD_OK;
    });
    CHECK(outcome.status == QVD_OK);
    CHECK(outcome.values == Properties{{"a", "2"}, {"b", ""}});
}

TEST_CASE("a failed call keeps the last sentence that the plugin gave") {
    Bench bench;
    const Outcome outcome = bench.call([](qvd_call* call) -> qvd_status {
        call->fail(call, lend("first"));
        call->fail(call, lend("no answer from ldap.example.org"));
        return QVD_UNAVAILABLE;
    });
    const Error error = to_error(outcome, "some.code", "ldap");
    CHECK(error.kind() == ErrorKind::unavailable);
    CHECK(error.sentence() == "no answer from ldap.example.org");
}

TEST_CASE("a pending call ends when it completes, from another thread or before it returned") {
    Bench bench;
    std::thread other;
    Signal begun;  // the call may end before `other` can be joined
    const Outcome later = bench.call([&](qvd_call* call) -> qvd_status {
        other = std::thread([call] {
            call->put(call, lend("from"), lend("elsewhere"));
            call->complete(call, QVD_OK);
        });
        begun.set();
        return QVD_PENDING;
    });
    REQUIRE(begun.wait());
    other.join();
    CHECK(later.status == QVD_OK);
    CHECK(later.values.at("from") == "elsewhere");

    const Outcome before = bench.call([](qvd_call* call) -> qvd_status {
        call->complete(call, QVD_NOT_FOUND);
        return QVD_PENDING;
    });
    CHECK(before.status == QVD_NOT_FOUND);
}

TEST_CASE("what is lent stays until the call has both returned and ended") {
    Bench bench;
    auto lent = std::make_shared<int>(7);
    const std::weak_ptr<int> watched = lent;
    Signal completed;
    std::thread other;
    std::atomic<bool> there_after_return_of_other{false};
    const Outcome outcome = bench.call([&, lent = std::move(lent)](qvd_call* call) -> qvd_status {
        other = std::thread([&, call] {
            call->complete(call, QVD_OK);
            completed.set();
        });
        (void)completed.wait();
        there_after_return_of_other = !watched.expired();
        return QVD_PENDING;
    });
    CHECK(outcome.status == QVD_OK);
    // It goes when the function has returned; only then is known what that saw.
    bench.room.turn_until([&] { return watched.expired(); });
    other.join();
    CHECK(there_after_return_of_other);
}

TEST_CASE("completing twice, or with a status that there is not, is misbehaviour and harmless") {
    const log::Capture log;
    Bench bench;
    qvd_call* again = nullptr;
    CHECK(bench
              .call([&](qvd_call* call) -> qvd_status {
                  again = call;
                  call->complete(call, QVD_OK);
                  call->complete(call, QVD_DENIED);
                  return QVD_PENDING;
              })
              .status == QVD_OK);
    again->complete(again, QVD_DENIED);  // long after its end
    const auto lines = log.lines();
    CHECK(std::ranges::count_if(lines, [](const std::string& line) {
              return line.find("event=plugin.misbehaves plugin=puppet") != std::string::npos;
          }) == 2);
    CHECK(log.contains("ended one call twice"));

    CHECK(bench.call([](qvd_call*) -> qvd_status { return 4711; }).status == QVD_INTERNAL);
    CHECK(log.contains("ended a call with the status 4711, which there is not"));
    CHECK(bench
              .call([](qvd_call* call) -> qvd_status {
                  call->complete(call, QVD_PENDING);
                  return QVD_PENDING;
              })
              .status == QVD_INTERNAL);
}

TEST_CASE("at the deadline the waiting ends, the plugin hears cancel(), and no time remains") {
    Bench bench;
    std::uint64_t cancelled = 0;
    bench.puppet.cancel = [&](std::uint64_t id) { cancelled = id; };
    const log::Capture log;
    qvd_call* const pending = qvd::testing::left_pending(bench.room, *bench.instance);
    CHECK(cancelled == pending->id);
    CHECK(pending->remaining_ms(pending) == 0);
    CHECK(log.contains("event=plugin.late plugin=puppet"));
    CHECK(log.contains("the plugin puppet gave no answer within "));
    bench.room.turn_until([&] { return bench.room.host.longest_overdue().by > Milliseconds{0}; });
    CHECK(bench.room.host.longest_overdue().call.starts_with("puppet: "));
    // The answer that comes too late goes nowhere, and is no misbehaviour.
    pending->put(pending, lend("a"), lend("b"));
    pending->complete(pending, QVD_OK);
    CHECK_FALSE(log.contains("plugin.misbehaves"));
    CHECK(bench.room.host.longest_overdue().by == Milliseconds{0});
}

TEST_CASE("a call whose time is up before its turn comes never reaches the plugin") {
    Bench bench;
    Signal inside;
    Signal leave;
    int done = 0;
    bool reached = false;
    const auto count = [&](const std::exception_ptr&, const Outcome&) { ++done; };
    boost::asio::co_spawn(bench.room.loop,
                          bench.instance->call({},
                                               [&](qvd_call*) -> qvd_status {
                                                   inside.set();
                                                   return leave.wait() ? QVD_OK : QVD_INTERNAL;
                                               }),
                          count);
    bench.room.turn_until([&] { return inside.is_set(); });
    const Outcome late = bench.call(
        [&](qvd_call*) -> qvd_status {
            reached = true;
            return QVD_OK;
        },
        within(Milliseconds{5}));
    CHECK(late.timed_out);
    // Nor is it the plugin that is stuck.
    CHECK(bench.room.host.longest_overdue().by == Milliseconds{0});
    leave.set();
    bench.room.turn_until([&] { return done == 1; });
    CHECK(bench.call([](qvd_call*) -> qvd_status { return QVD_OK; }).status == QVD_OK);
    CHECK_FALSE(reached);
}

TEST_CASE("a call that nobody awaits any more is cancelled") {
    Bench bench;
    qvd_call* pending = nullptr;
    Signal begun;
    Signal cancelled;
    bench.puppet.cancel = [&](std::uint64_t) { cancelled.set(); };
    boost::asio::cancellation_signal stop;
    bool over = false;
    boost::asio::co_spawn(
        bench.room.loop,
        bench.instance->call({},
                             [&](qvd_call* call) -> qvd_status {
                                 pending = call;
                                 begun.set();
                                 return QVD_PENDING;
                             }),
        boost::asio::bind_cancellation_slot(
            stop.slot(), [&](const std::exception_ptr&, const Outcome&) { over = true; }));
    // It must have begun before it can be given up.
    bench.room.turn_until([&] { return begun.is_set(); });
    stop.emit(boost::asio::cancellation_type::terminal);
    bench.room.turn_until([&] { return over; });
    CHECK(cancelled.is_set());
    CHECK(pending->remaining_ms(pending) == 0);
    pending->complete(pending, QVD_CANCELLED);
}

TEST_CASE("an exception ends a call as internal, and is misbehaviour") {
    const log::Capture log;
    Bench bench;
    const Outcome known =
        bench.call([](qvd_call*) -> qvd_status { throw std::runtime_error("out of luck"); });
    CHECK(known.status == QVD_INTERNAL);
    CHECK(known.sentence == "out of luck");
    CHECK(log.contains("threw an exception across the ABI: out of luck"));
    CHECK(bench.call([](qvd_call*) -> qvd_status { throw 7; }).status == QVD_INTERNAL);
    CHECK(log.contains("threw an exception of an unknown type"));
}

TEST_CASE("records that a call did not ask for, or that are cut short, are misbehaviour") {
    const log::Capture log;
    Bench bench;
    CHECK(bench
              .call([](qvd_call* call) -> qvd_status {
                  const qvd_choice choice{sizeof(qvd_choice), 0, 0};
                  call->result(call, QVD_KIND_CHOICE, &choice);
                  call->result(call, 12345, nullptr);
                  return QVD_OK;
              })
              .status == QVD_OK);
    CHECK(log.contains("handed back a record of kind 48 where it does not belong"));
    CHECK(log.contains("handed back a record of kind 12345 where it does not belong"));
}

TEST_CASE("values have bounds") {
    const log::Capture log;
    Bench bench;
    const std::string huge(70'000, 'x');
    const Outcome outcome = bench.call([&](qvd_call* call) -> qvd_status {
        call->put(call, lend("huge"), lend(huge));
        call->put(call, lend(""), lend("nameless"));
        for (int i = 0; i < 1100; ++i) {
            const std::string key = "k" + std::to_string(i);
            call->put(call, lend(key), lend("v"));
        }
        return QVD_OK;
    });
    CHECK(outcome.values.size() == 1000);
    CHECK_FALSE(outcome.values.contains("huge"));
    CHECK(log.contains("put a value that is too long"));
}

TEST_CASE("progress is told on the event loop, and its last step is never lost") {
    Bench bench;
    std::vector<std::pair<int, std::string>> steps;
    CallOptions options;
    const auto loop_thread = std::this_thread::get_id();
    options.progress = [&](int percent, const std::string& sentence) {
        CHECK(std::this_thread::get_id() == loop_thread);
        steps.emplace_back(percent, sentence);
    };
    bench.room.run(bench.instance->call(options, [&](qvd_call* call) -> qvd_status {
        for (int i = 0; i <= 1000; ++i) call->progress(call, i, lend("unpacking"));
        return QVD_OK;
    }));
    CHECK(steps.size() < 1000);
    for (const auto& [percent, sentence] : steps) CHECK(percent <= 100);
}

TEST_CASE("create() that fails, throws or says pending makes no instance, and says why") {
    Room room;
    Puppet puppet;
    room.stage["puppet"] = &puppet;
    bool destroyed = false;
    puppet.destroy = [&] { destroyed = true; };
    puppet.create = [](const qvd_core*, qvd_call* call) -> qvd_status {
        return qvd_call_fail(call, QVD_INVALID, "no such bridge: qvdbr0");
    };
    const auto failed = room.registry.make(QVD_LOAD_BALANCER, "puppet");
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.error().code() == "plugin.create");
    CHECK(failed.error().sentence() == "no such bridge: qvdbr0");

    puppet.create = [](const qvd_core*, qvd_call*) -> qvd_status {
        throw std::runtime_error("broken");
    };
    CHECK(room.registry.make(QVD_LOAD_BALANCER, "puppet").error().sentence() == "broken");

    qvd_call* pending = nullptr;
    puppet.create = [&](const qvd_core*, qvd_call* call) -> qvd_status {
        pending = call;
        return QVD_PENDING;
    };
    const auto late = room.registry.make(QVD_LOAD_BALANCER, "puppet");
    REQUIRE_FALSE(late.ok());
    CHECK(late.error().sentence() ==
          "the plugin puppet answered \"pending\" to create(), which it must not");
    pending->complete(pending, QVD_OK);
    CHECK_FALSE(destroyed);
}

TEST_CASE("values of keys are checked before create(), and a required key must be there") {
    const auto made = [](const std::string& configuration) {
        Room room(configuration);
        const auto instance = room.registry.make(QVD_LOAD_BALANCER, "puppet");
        return instance.ok() ? std::string("made") : instance.error().sentence();
    };
    CHECK(made("puppet.count = 9\n") == "made");
    CHECK(made("puppet.count = 10\n") ==
          "test.conf:3: puppet.count: \"10\" will not do; it must be at most 9");
    CHECK(made("puppet.weight = heavy\n") ==
          "test.conf:3: puppet.weight: \"heavy\" will not do; it must be a number");
}

}  // namespace qvd::plugin
