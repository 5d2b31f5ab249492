// A broker for tests: its store in memory, its worker and its agent played by the test.
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "broker/broker.hpp"
#include "store/memory_store.hpp"
#include "tests/store/await.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace qvd::broker::test {

// The file's configuration of a broker here, with the plugins of the product, or with the puppet if
// `settings` set its stage.
config::View view_of(const std::string& settings);

// One l7r worker as the broker sees it. Frames that it got are read off one by one.
class Worker {
public:
    // `elsewhere`: requests that an earlier broker still looks after.
    Worker(Broker& broker, std::string name, std::vector<std::uint64_t> relays = {},
           std::vector<std::uint64_t> elsewhere = {}, net::Headers owners = {});

    void say(const net::Frame& frame);
    // The next frame, if there is one.
    std::optional<net::Frame> heard();
    void die() { socket_.reset(); }

private:
    UniqueFd socket_;
};

// Answers every call of a broker; `say` gives the answer's body by the method's name.
class Agent : public std::enable_shared_from_this<Agent> {
public:
    using Say = std::function<std::string(const std::string& method)>;
    Agent(boost::asio::io_context& loop, Say say);

    void begin();
    [[nodiscard]] int port() const { return acceptor_.local_endpoint().port(); }

    [[nodiscard]] bool was_asked(const std::string& method) const;

    std::vector<std::string> asked;    // methods, in order
    std::vector<std::string> targets;  // the same with their parameters
    // Calls of these methods are not answered until they are taken out again.
    std::set<std::string> held;

private:
    boost::asio::awaitable<void> accept();
    boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket);

    boost::asio::io_context& loop_;
    Say say_;
    boost::asio::ip::tcp::acceptor acceptor_;
};

// Goes by itself, and a test may move it on.
class MovableClock final : public Clock {
public:
    [[nodiscard]] time_point now() const override { return std::chrono::steady_clock::now() + by_; }
    void advance(std::chrono::steady_clock::duration by) { by_ += by; }

private:
    std::chrono::steady_clock::duration by_{0};
};

// A GET of alice's. Farm::ask() gives each a connection of its own.
net::Request request_on(std::uint64_t connection, std::uint64_t number, const std::string& target,
                        const std::string& password = "secret");

// A farm with one node, the user alice (password "secret") and her VM, which is stopped.
class Farm {
public:
    explicit Farm(const std::string& settings = "",
                  Milliseconds inventory_age = Milliseconds{10'000});
    ~Farm();
    Farm(const Farm&) = delete;
    Farm& operator=(const Farm&) = delete;

    // Runs the loop until it is so; false if that takes too long.
    bool until(const std::function<bool()>& so);
    // The next frame of that kind to the worker; others are passed over.
    template <class T>
    T next(Worker& worker) {
        std::optional<T> found;
        (void)until([&] {
            while (auto frame = worker.heard())
                if (auto* wanted = std::get_if<T>(&*frame)) return found.emplace(*wanted), true;
            return false;
        });
        return found.value();
    }
    // A request of alice's; `password` as she types it.
    void ask(Worker& worker, std::uint64_t number, const std::string& target,
             const std::string& password = "secret", bool upgrade = true);
    // What the broker answers in the end.
    net::Reply answer(Worker& worker) { return next<net::Reply>(worker); }

    // The VM runs on `where` (here), its agent and its NX port at these ports of 127.0.0.1.
    void run_vm(int agent_port, std::optional<NodeId> where = {});
    template <class T>
    Result<T> run(store::Async<T> call) {
        return store::test::run_on(loop, std::move(call));
    }
    [[nodiscard]] std::size_t rows();

    EventLoop loop;
    MovableClock clock;
    std::chrono::seconds database_ahead{0};  // moves the database's clock on
    bool store_throws = false;               // as if an invariant were broken
    store::MemoryStore* store = nullptr;
    std::set<std::string> running;  // instances whose processes are there
    std::unique_ptr<Broker> broker;
    NodeId node;
    UserId alice;
    VmId vm;

private:
    std::unique_ptr<net::RoleLink> link_;
    UniqueFd supervisor_;
};

// The target of a connection to this VM; `more` begins with "&".
std::string path_of(VmId vm, const std::string& more = "");
// What an agent says whose session listens at once.
std::string willing(const std::string& method);

}  // namespace qvd::broker::test
