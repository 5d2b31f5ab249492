#include "broker/agent_calls.hpp"
#include "broker/sessions.hpp"
#include "broker/vm_watch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

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

TEST_CASE("Sessions hand an abort to whoever holds the VM now") {
    Room first;
    Room second;
    Sessions sessions;
    sessions.add(VmId{1}, first.client);
    sessions.add(VmId{1}, second.client);
    sessions.remove(VmId{1}, *first.client);  // too late: it is the second's
    CHECK(sessions.size() == 1);
    sessions.abort(VmId{2});
    sessions.abort(VmId{1});
    CHECK_FALSE(first.client->interruption());
    REQUIRE(second.client->interruption());
    CHECK(second.client->interruption()->code() == "session.taken_over");
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
