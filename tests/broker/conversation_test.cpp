#include "broker/abortable.hpp"
#include "broker/agent_calls.hpp"
#include "broker/sessions.hpp"
#include "broker/vm_watch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <stdexcept>

using namespace qvd;
using namespace qvd::broker;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// A conversation whose worker is the test.
struct Room {
    asio::io_context loop{1};
    UniqueFd worker;
    std::shared_ptr<Conversation> client;

    Room() {
        auto ends = net::frame_sockets();
        REQUIRE(ends.ok());
        worker = std::move(ends->second);
        auto channel =
            std::make_shared<net::FrameChannel>(loop.get_executor(), std::move(ends->first));
        net::Request request;
        request.request = 5;
        request.connection = 2;
        client = std::make_shared<Conversation>(std::move(request), "l7r-0-x", channel);
    }

    template <class T>
    static asio::awaitable<void> keep(asio::awaitable<T> work, std::optional<T>& answer) {
        T got = co_await std::move(work);
        answer.emplace(std::move(got));
    }
    template <class T>
    void begin(asio::awaitable<T> work, std::optional<T>& answer) {
        asio::co_spawn(loop, keep(std::move(work), answer), asio::detached);
        loop.restart();
        loop.poll();
    }
    template <class T>
    T& finish(std::optional<T>& answer) {
        loop.restart();
        while (!answer && loop.run_one_for(5s) > 0) {
        }
        REQUIRE(answer);
        return *answer;
    }
    template <class T>
    T received() {
        auto frame = net::receive_frame(worker.get());
        REQUIRE(frame.ok());
        REQUIRE(std::holds_alternative<T>(*frame));
        return std::get<T>(*frame);
    }
};

}  // namespace

TEST_CASE("A conversation is named by its worker and request") {
    Room room;
    CHECK(room.client->holder() == "l7r-0-x:5");
    room.client->progress("wait");
    CHECK(room.received<net::Progress>().text == "wait");
    room.client->reply({});
    CHECK(room.received<net::Reply>().request == 5);
}

TEST_CASE("A link comes to what the worker says of it") {
    Room room;
    std::optional<Result<void>> linked;
    room.begin(room.client->link("10.0.0.7", 4000, 5s), linked);
    const auto order = room.received<net::Link>();
    CHECK(order.address == "10.0.0.7");
    CHECK(order.port == 4000);
    CHECK_FALSE(linked);
    SUBCASE("done") {
        room.client->on_linked();
        CHECK(room.finish(linked).ok());
    }
    SUBCASE("failed") {
        room.client->on_link_failed("nobody listens");
        CHECK(room.finish(linked).error().kind() == ErrorKind::unavailable);
    }
    SUBCASE("the client left") {
        room.client->on_gone();
        CHECK(room.finish(linked).error().code() == "client.gone");
    }
    SUBCASE("the worker died") {
        room.client->on_worker_lost();
        CHECK(room.finish(linked).error().code() == "worker.lost");
    }
}

TEST_CASE("A link that nobody answers ends by its limit") {
    Room room;
    std::optional<Result<void>> linked;
    room.begin(room.client->link("10.0.0.7", 4000, 20ms), linked);
    CHECK(room.finish(linked).error().kind() == ErrorKind::timeout);
}

TEST_CASE("A relay lasts until its worker says that it ended") {
    Room room;
    std::optional<net::Ended> ended;
    room.begin(room.client->relay(Secret{"key"}), ended);
    CHECK(room.received<net::Switch>().slave_key.equals("key"));
    SUBCASE("by itself") {
        room.client->on_ended({5, 1, 2, 3, "client closed"});
        CHECK(room.finish(ended).reason == "client closed");
    }
    SUBCASE("with its worker") {
        room.client->on_worker_lost();
        CHECK(room.finish(ended).reason == "the worker ended");
    }
    SUBCASE("because another client takes over") {
        room.client->interrupt({ErrorKind::cancelled, "session.taken_over", "x"});
        CHECK(room.received<net::Abort>().request == 5);
        CHECK_FALSE(ended);
        room.client->on_ended({5, 0, 0, 0, "aborted"});
        CHECK(room.finish(ended).reason == "aborted");
    }
}

TEST_CASE("Sessions hand an abort to whoever holds that very session now") {
    Room first;
    Room second;
    Sessions sessions;
    Session old;
    old.id = SessionId{7};
    old.vm = VmId{1};
    Session now = old;
    now.id = SessionId{8};
    sessions.add(old, first.client);
    sessions.add(now, second.client);
    sessions.remove(VmId{1}, *first.client);  // too late: it is the second's
    CHECK(sessions.size() == 1);
    CHECK_FALSE(sessions.abort(VmId{2}, SessionId{8}));
    CHECK_FALSE(sessions.abort(VmId{1}, SessionId{7}));
    CHECK_FALSE(second.client->interruption());
    CHECK(sessions.abort(VmId{1}, SessionId{8}));
    CHECK_FALSE(first.client->interruption());
    REQUIRE(second.client->interruption());
    CHECK(second.client->interruption()->code() == "session.taken_over");
}

TEST_CASE("Who waits is woken by what looks otherwise than the last time, and by a first look") {
    Room room;
    VmWatch watch;
    const VmWatch::Interest interest(watch, VmId{1}, room.client);
    CHECK(watch.awaited() == std::set<VmId>{VmId{1}});
    std::map<VmId, store::BrokerLook::Glimpse> seen{{VmId{1}, {}}};
    const auto wakes = [&] {
        std::optional<Result<void>> woken;
        room.begin(room.client->pause(20ms), woken);
        watch.seen(seen);
        room.loop.restart();
        room.loop.poll();
        const bool at_once = woken.has_value();
        CHECK(room.finish(woken).ok());
        return at_once;
    };
    CHECK(wakes());
    CHECK_FALSE(wakes());
    seen[VmId{1}].state = VmState::running;
    CHECK(wakes());
    CHECK_FALSE(wakes());
    seen[VmId{1}].session = SessionId{4};
    CHECK(wakes());
    seen.clear();
    CHECK(wakes());
}

TEST_CASE("News that come while nobody pauses end the next pause") {
    Room room;
    room.client->wake();
    std::optional<Result<void>> woken;
    room.begin(room.client->pause(1h), woken);
    CHECK(woken.has_value());
    std::optional<Result<void>> slept;
    room.begin(room.client->pause(1ms), slept);
    CHECK_FALSE(slept);
    CHECK(room.finish(slept).ok());
}

namespace {

asio::awaitable<Result<std::string>> answer_when(std::shared_ptr<Wakeup> told,
                                                 std::shared_ptr<bool> done) {
    co_await told->wait(1h);
    *done = true;
    co_return std::string("answer");
}

asio::awaitable<Result<std::string>> broken_work() {
    throw std::runtime_error("broken");
    co_return std::string();
}

asio::awaitable<Result<std::string>> breaks(std::shared_ptr<Conversation> client) {
    std::string what;
    try {
        auto work = broken_work();
        (void)co_await abortable(client, std::move(work));
    } catch (const std::exception& problem) {
        what = problem.what();
    }
    co_return what;
}

}  // namespace

TEST_CASE("Work is awaited until it is done or its client is interrupted, whichever is first") {
    Room room;
    const auto told = std::make_shared<Wakeup>();
    const auto done = std::make_shared<bool>(false);
    std::optional<Result<std::string>> got;
    room.begin(abortable(room.client, answer_when(told, done)), got);
    CHECK_FALSE(got);
    SUBCASE("done") {
        told->notify();
        CHECK(*room.finish(got) == "answer");
    }
    SUBCASE("woken by something else, it goes on waiting") {
        room.client->wake();
        room.loop.restart();
        room.loop.poll();
        CHECK_FALSE(got);
        told->notify();
        CHECK(*room.finish(got) == "answer");
    }
    SUBCASE("interrupted, the work ends by itself and nobody hears of it") {
        room.client->on_gone();
        CHECK(room.finish(got).error().code() == "client.gone");
        CHECK_FALSE(*done);
        told->notify();
        room.loop.restart();
        while (!*done && room.loop.run_one_for(5s) > 0) {
        }
        CHECK(*done);
    }
}

TEST_CASE("What work throws reaches who waits for it") {
    Room room;
    std::optional<Result<std::string>> got;
    room.begin(breaks(room.client), got);
    CHECK(*room.finish(got) == "broken");
}

TEST_CASE("Announcements wake who is interested in the VM, while he is") {
    Room room;
    VmWatch watch;
    std::optional<Result<void>> woken;
    {
        const VmWatch::Interest interest(watch, VmId{1}, room.client);
        room.begin(room.client->pause(5s), woken);
        watch.announce(VmId{2});
        room.loop.restart();
        room.loop.poll();
        CHECK_FALSE(woken);
        SUBCASE("by its number") {
            watch.announce(VmId{1});
        }
        SUBCASE("by everything") {
            watch.announce_everything();
        }
        CHECK(room.finish(woken).ok());
    }
    std::optional<Result<void>> slept;
    room.begin(room.client->pause(20ms), slept);
    watch.announce(VmId{1});
    room.loop.restart();
    room.loop.poll();
    CHECK_FALSE(slept);
    CHECK(room.finish(slept).ok());
}
