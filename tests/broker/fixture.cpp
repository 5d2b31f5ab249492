#include "tests/broker/fixture.hpp"

#include "agent/protocol.hpp"
#include "base/text.hpp"
#include "broker/keys.hpp"
#include "broker/spawn.hpp"
#include "config/keys.hpp"
#include "model/password.hpp"
#include "net/frames.hpp"
#include "plugin/keys.hpp"
#include "store/keys.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>

#include <algorithm>
#include <stdexcept>

namespace qvd::broker::test {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds patience{20};

}  // namespace

config::View view_of(const std::string& settings) {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    store::declare(*keys);
    plugin::declare(*keys);
    broker::declare(*keys);
    const bool puppet = settings.find("puppet.stage") != std::string::npos;
    const std::string file = std::string("nodename = here\nl7r.use_ssl = 0\npath.plugins = ") +
                             (puppet ? PUPPETS : QVD_PLUGINS) + "\n" + settings;
    return {keys, config::Properties::parse(file, "test.conf").value()};
}

Worker::Worker(Broker& broker, std::string name, std::vector<std::uint64_t> relays,
               std::vector<std::uint64_t> elsewhere, net::Headers owners) {
    auto ends = net::role_sockets().value();
    socket_ = std::move(ends.first);
    say(net::Hello{std::move(name), std::move(relays), std::move(elsewhere), false,
                   std::move(owners)});
    broker.add_worker(std::move(ends.second));
}

void Worker::say(const net::Frame& frame) {
    if (!net::send_frame(socket_.get(), frame).ok())
        throw std::runtime_error("the broker does not listen");
}

std::optional<net::Frame> Worker::heard() {
    auto frame = net::receive_frame(socket_.get());
    return frame.ok() ? std::optional(std::move(frame).value()) : std::nullopt;
}

Agent::Agent(asio::io_context& loop, Say say)
    : loop_(loop), say_(std::move(say)), acceptor_(loop, {asio::ip::address_v4::loopback(), 0}) {
}

void Agent::begin() {
    spawn_contained(loop_.get_executor(), accept());
}

asio::awaitable<void> Agent::accept() {
    const auto self = shared_from_this();
    for (;;) {
        auto [problem, socket] =
            co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
        if (problem) co_return;
        spawn_contained(loop_.get_executor(), serve(std::move(socket)));
    }
}

asio::awaitable<void> Agent::serve(asio::ip::tcp::socket socket) {
    const auto self = shared_from_this();
    std::string head;
    const auto [problem, size] = co_await asio::async_read_until(
        socket, asio::dynamic_buffer(head), "\r\n\r\n", asio::as_tuple(asio::use_awaitable));
    if (problem) co_return;
    const auto words = text::split(head.substr(0, head.find('\r')), ' ');
    const std::string path = words.at(1).substr(0, words.at(1).find('?'));
    const std::string method = path.substr(path.rfind('/') + 1);
    asked.push_back(method);
    targets.push_back(words.at(1));
    asio::steady_timer timer(loop_);
    while (held.contains(method)) {
        timer.expires_after(std::chrono::milliseconds(5));
        co_await timer.async_wait(asio::use_awaitable);
    }
    const std::string body = say_(method);
    const std::string status = body.empty() ? "404 Not Found" : "200 OK";
    const std::string reply = "HTTP/1.1 " + status +
                              "\r\nContent-Type: application/json-simplerpc" +
                              "\r\nContent-Length: " + std::to_string(body.size()) +
                              "\r\nConnection: close\r\n\r\n" + body;
    (void)co_await asio::async_write(socket, asio::buffer(reply),
                                     asio::as_tuple(asio::use_awaitable));
}

bool Agent::was_asked(const std::string& method) const {
    return std::ranges::find(asked, method) != asked.end();
}

Farm::Farm(const std::string& settings, Milliseconds inventory_age) {
    auto made = std::make_unique<store::MemoryStore>(loop.get_executor(), [this] {
        if (store_throws) throw std::logic_error("a broken invariant");
        return std::chrono::system_clock::now() + database_ahead;
    });
    store = made.get();
    node = run(store->add_node("here", "10.3.15.1")).value();
    const std::int64_t epoch = run(store->claim_node(node, "boot")).value();
    (void)run(store->set_node_state(node, epoch, NodeState::running, ""));
    NodeLoad load;
    load.memory_total_mib = load.memory_free_mib = 8192;
    load.cpus = 4;
    load.cpu_idle = 1;
    (void)run(store->heartbeat(node, epoch, load));
    alice = run(store->add_user("alice", hash_password(Secret{"secret"}).value())).value();
    const OsfId osf = run(store->add_osf({{}, "desktop"})).value();
    (void)run(store->add_di({osf, "image.tar", ""}));
    vm = run(store->add_vm({"desk", alice, osf, "default", "10.3.15.7", "", ""})).value();
    auto ends = net::role_sockets().value();
    supervisor_ = std::move(ends.first);
    link_ = std::make_unique<net::RoleLink>(std::move(ends.second), net::Role::broker, "b");
    broker = std::make_unique<Broker>(
        loop, *link_, view_of(settings), std::move(made), clock, plugin::Catalogue{},
        [this](const std::string& instance) { return running.contains(instance); }, inventory_age);
    spawn_contained(loop.get_executor(), broker->run());
}

Farm::~Farm() {
    broker->stop();
    loop.stop();
    // Frames on the loop refer to the broker: they end first, as in its role.
    loop.end_all();
}

bool Farm::until(const std::function<bool()>& so) {
    const auto limit = std::chrono::steady_clock::now() + patience;
    while (!so()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        loop.restart();
        loop.run_one_for(std::chrono::milliseconds(50));
    }
    return true;
}

net::Request request_on(std::uint64_t connection, std::uint64_t number, const std::string& target,
                        const std::string& password) {
    net::Request request;
    request.request = number;
    request.connection = connection;
    request.client_address = "192.0.2.1";
    request.method = "GET";
    request.target = target;
    request.headers = {{"Authorization", "Basic " + text::base64_encode("alice:" + password)}};
    return request;
}

void Farm::ask(Worker& worker, std::uint64_t number, const std::string& target,
               const std::string& password, bool upgrade) {
    net::Request request = request_on(number, number, target, password);
    if (upgrade) {
        request.headers.emplace_back("Connection", "Upgrade");
        request.headers.emplace_back("Upgrade", "QVD/1.0");
    }
    worker.say(request);
}

void Farm::run_vm(int agent_port, std::optional<NodeId> where) {
    const NodeId at = where.value_or(node);
    (void)run(store->order_start(vm, at));
    const auto order = run(store->take_start(vm, at));
    const std::int64_t life = order.value().record.runtime.incarnation;
    (void)run(store->set_endpoints(
        vm, life, "127.0.0.1",
        {{"agent", "tcp", "127.0.0.1", agent_port}, {"nx", "tcp", "127.0.0.1", 4000}}));
    (void)run(store->transition({vm, life, {VmState::starting}, VmState::running, 0, ""}));
}

std::size_t Farm::rows() {
    return run(store->sessions_on(node)).value().size();
}

std::string path_of(VmId vm, const std::string& more) {
    return "/qvd/connect_to_vm?id=" + vm.text() + more;
}

std::string willing(const std::string& method) {
    if (method == "x_state") return agent::encode_text("listening");
    if (method == "x_start") return agent::encode_text("starting");
    return "";
}

}  // namespace qvd::broker::test
