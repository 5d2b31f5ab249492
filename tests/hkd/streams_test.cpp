// The ways into a VM, and the control protocol as the local socket and the broker speak it.
#include "base/file.hpp"
#include "base/log.hpp"
#include "hkd/control.hpp"
#include "hkd/vm_streams.hpp"
#include "tests/hkd/running_vm.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <thread>

using namespace qvd;
using namespace qvd::hkd;

namespace {

UniqueFd connected(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path.copy(where.sun_path, sizeof where.sun_path - 1);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    return fd;
}

UniqueFd listening(const std::string& path) {
    ::unlink(path.c_str());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path.copy(where.sun_path, sizeof where.sun_path - 1);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    REQUIRE(::listen(fd.get(), 4) == 0);
    return fd;
}

void say(const UniqueFd& fd, std::string_view bytes) {
    REQUIRE(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

// At least so many bytes, or up to the end.
std::string hear(const UniqueFd& fd, std::size_t bytes) {
    std::string heard;
    std::array<char, 4096> part{};
    while (heard.size() < bytes) {
        const ssize_t got = ::read(fd.get(), part.data(), part.size());
        if (got <= 0) break;
        heard.append(part.data(), static_cast<std::size_t>(got));
    }
    return heard;
}

std::pair<UniqueFd, UniqueFd> two_ends() {
    std::array<int, 2> ends{-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Of VM 7 there is a console, whose other end the test holds; of others nothing.
class ServedNode {
public:
    ServedNode() {
        auto ends = two_ends();
        console = std::move(ends.first);
        handed_ = std::move(ends.second);
        ControlSource source;
        source.status = [] { return ControlSource::Status{"alpha", "running", "", true, 0, 0}; };
        source.open = [this](net::ControlVerb verb, VmId vm) { return open(verb, vm); };
        path = hkd::test::run_folder() + "/streams.sock";
        control = std::make_unique<Control>(loop.get_executor(), source);
        REQUIRE(control->open(path, "qvd-no-such-group").ok());
    }
    void run() {
        server_ = std::thread([this] { loop.run(); });
    }
    ~ServedNode() {
        loop.stop();
        if (server_.joinable()) server_.join();
    }
    ServedNode(const ServedNode&) = delete;
    ServedNode& operator=(const ServedNode&) = delete;

    log::Capture quiet;
    boost::asio::io_context loop;
    std::string path;
    UniqueFd console;
    std::unique_ptr<Control> control;

private:
    Async<UniqueFd> open(net::ControlVerb verb, VmId vm) {
        if (vm != VmId{7} || verb != net::ControlVerb::console)
            co_return Error{ErrorKind::conflict, "vm.no_vnc", "there is no such screen"};
        co_return std::move(handed_);
    }

    UniqueFd handed_;
    std::thread server_;
};

std::string get(const std::string& target, bool upgrade) {
    return "GET " + target + " HTTP/1.1\r\nHost: node\r\n" +
           (upgrade ? "Connection: Upgrade\r\nUpgrade: qvd-admin/1.0\r\n\r\n" : "\r\n");
}

}  // namespace

TEST_CASE("a stream at the control socket begins with a 101 and goes both ways to its end") {
    ServedNode node;
    node.run();
    const UniqueFd client = connected(node.path);
    say(client, get("/v1/vm/7/console", true));
    const std::string head =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: QVD-Admin/1.0\r\n\r\n";
    CHECK(hear(client, head.size()) == head);
    say(client, "ls\r");
    CHECK(hear(node.console, 3) == "ls\r");
    say(node.console, "login: ");
    CHECK(hear(client, 7) == "login: ");
    node.console.reset();
    CHECK(hear(client, 1).empty());
}

TEST_CASE("what has no stream is refused as a document, and a stream without upgrade is none") {
    ServedNode node;
    node.run();
    const UniqueFd without = connected(node.path);
    say(without, get("/v1/vm/7/console", false));
    const std::string no_upgrade = hear(without, 4096);
    CHECK(no_upgrade.starts_with("HTTP/1.1 400"));
    CHECK(no_upgrade.find("X-QVD-Error: control.upgrade") != std::string::npos);
    const UniqueFd screen = connected(node.path);
    say(screen, get("/v1/vm/7/vnc", true));
    const std::string no_screen = hear(screen, 4096);
    CHECK(no_screen.starts_with("HTTP/1.1 409"));
    CHECK(no_screen.find("there is no such screen") != std::string::npos);
}

TEST_CASE("the broker's calls get a document, a socket, or a refusal") {
    ServedNode node;
    auto ends = net::frame_sockets().value();
    const auto channel =
        std::make_shared<net::FrameChannel>(node.loop.get_executor(), std::move(ends.first));
    const auto call = [&](std::uint64_t number, std::uint8_t verb, std::int64_t vm) {
        node.control->serve({number, verb, vm, {}, "ann"}, channel);
        node.loop.restart();
        node.loop.poll();
        return net::receive_frame(ends.second.get()).value();
    };
    const auto verb = [](net::ControlVerb one) { return static_cast<std::uint8_t>(one); };
    const auto status = std::get<net::Reply>(call(1, verb(net::ControlVerb::status), 0));
    CHECK(status.request == 1);
    CHECK(status.status == 200);
    CHECK(status.body.find("alpha") != std::string::npos);
    CHECK(status.headers == net::Headers{{"Content-Type", "application/json"}});
    const auto refused = std::get<net::Reply>(call(2, verb(net::ControlVerb::vnc), 7));
    CHECK(refused.status == 409);
    CHECK(std::get<net::Reply>(call(3, 99, 7)).status == 501);
    const auto attach = std::get<net::Attach>(call(4, verb(net::ControlVerb::console), 7));
    CHECK(attach.request == 4);
    say(*attach.socket, "x");
    CHECK(hear(node.console, 1) == "x");
    CHECK(node.quiet.contains("operator=ann"));
}

TEST_CASE("a way into a VM is what its backend names, and each lack says what to do") {
    const log::Capture quiet;
    test::RunningVm running;
    boost::asio::io_context loop;
    test::FakeSchedule schedule(running.rig.world, loop);
    test::FakeBackend backend(running.rig.world, schedule);
    VmStreams streams(loop.get_executor(), backend,
                      [&](VmId vm) { return running.rig.here().find(vm); });
    const auto open = [&](net::ControlVerb verb, VmId vm) {
        return running.rig.ask(streams.open(verb, vm));
    };
    const std::string path = test::run_folder() + "/console.sock";
    CHECK(open(net::ControlVerb::console, VmId{999}).error().code() == "vm.not_here");
    CHECK(open(net::ControlVerb::console, running.vm).error().code() == "vm.no_console");
    CHECK(open(net::ControlVerb::vnc, running.vm).error().code() == "vm.no_vnc");
    running.rig.world.endpoints = {{"serial", "unix", path, 0}};
    CHECK(open(net::ControlVerb::console, running.vm).error().code() == "vm.stream");
    const UniqueFd listener = listening(path);
    const auto stream = open(net::ControlVerb::console, running.vm);
    REQUIRE(stream.ok());
    const UniqueFd accepted(::accept(listener.get(), nullptr, nullptr));
    say(*stream, "hello");
    CHECK(hear(accepted, 5) == "hello");
    running.rig.world.endpoints = {{"vnc", "pty", "/dev/pts/9", 0}};
    CHECK(open(net::ControlVerb::vnc, running.vm).error().kind() == ErrorKind::unsupported);
}
