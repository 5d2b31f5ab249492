// A stand-in for a node, for tests of the display: one machine, any user, and connect_to_vm leads
// to a TCP address where nxagent waits.
//   qvd-test-gateway PORTFILE CERTIFICATE_FILE AGENT_ADDRESS AGENT_PORT
// Writes its port and its certificate once it listens; runs until it gets a signal.
#include "base/file.hpp"
#include "tests/client/test_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>

namespace {

using namespace qvd::testing;

struct Agent {
    std::string address;
    int port = 0;
};

qvd::UniqueFd connect_to(const Agent& agent) {
    qvd::UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in name{};
    name.sin_family = AF_INET;
    ::inet_pton(AF_INET, agent.address.c_str(), &name.sin_addr);
    name.sin_port = htons(static_cast<in_port_t>(agent.port));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) fd.reset();
    return fd;
}

// Blocking writes are enough: one client, and nxagent reads what it gets.
void relay(Peer& peer, int agent) {
    std::array<char, 65536> chunk{};
    for (;;) {
        std::array<pollfd, 2> watched{{{peer.fd(), POLLIN, 0}, {agent, POLLIN, 0}}};
        if (SSL_pending(peer.ssl()) == 0 && ::poll(watched.data(), 2, -1) < 0) return;
        if (watched[1].revents != 0) {
            const ssize_t got = ::recv(agent, chunk.data(), chunk.size(), 0);
            if (got <= 0) return;
            peer.record({chunk.data(), static_cast<std::size_t>(got)});
        }
        if (watched[0].revents != 0 || SSL_pending(peer.ssl()) > 0) {
            const std::string bytes = peer.bytes();
            if (bytes.empty()) return;
            if (::send(agent, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return;
        }
    }
}

void converse(Peer& peer, const Agent& target) {
    for (std::string head = peer.request(); !head.empty(); head = peer.request()) {
        std::cout << head.substr(0, head.find('\r')) << std::endl;
        if (head.starts_with("GET /qvd/list_of_vm")) {
            peer.record(http_reply(
                200, R"([{"id": 1, "name": "desk", "state": "running", "blocked": 0}])"));
            continue;
        }
        const qvd::UniqueFd agent = connect_to(target);
        if (!agent) {
            peer.record(http_reply(503, "no agent"));
            continue;
        }
        peer.record(progress_head("Connecting X session") + switching_head);
        relay(peer, agent.get());
        return;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::cerr << "usage: qvd-test-gateway PORTFILE CERTIFICATE_FILE AGENT_ADDRESS AGENT_PORT\n";
        return 2;
    }
    // Before any thread: all of them leave the signals to sigwait().
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    const Agent target{argv[3], static_cast<int>(std::strtol(argv[4], nullptr, 10))};
    const Identity identity = make_identity("localhost");
    TestServer server{identity, [&target](Peer& peer) { converse(peer, target); }};
    if (!qvd::file::write_atomic(argv[2], identity.certificate_pem(), 0644).ok() ||
        !qvd::file::write_atomic(argv[1], std::to_string(server.port()) + "\n", 0644).ok())
        return 1;
    int signal = 0;
    ::sigwait(&signals, &signal);
    std::_Exit(0);
}
