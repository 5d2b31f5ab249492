#include "net/relay.hpp"

#include "net/tls.hpp"
#include "tests/net/certificates.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <random>
#include <string>

using namespace qvd;
using namespace qvd::net;

namespace {

std::pair<UniqueFd, UniqueFd> sockets() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// A relay between two socketpairs, everything in one thread and nothing blocking.
struct Bench {
    explicit Bench(bool kernel_tls) {
        auto client = sockets();
        auto screen = sockets();
        Configure configure;
        const test::Identity identity = test::self_signed("node");
        configure.certificate = identity.certificate;
        configure.key = Secret(identity.key);
        const TlsContext context = TlsContext::make(configure, kernel_tls).value();
        stream = std::make_unique<Stream>(std::move(client.first), context);
        client_socket = std::move(client.second);
        vm = std::move(screen.second);
        client_context.reset(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
        ssl.reset(SSL_new(client_context.get()), SSL_free);
        SSL_set_fd(ssl.get(), client_socket.get());
        Stream::Status status = Stream::Status::would_block;
        while (SSL_connect(ssl.get()) != 1 || status != Stream::Status::ok) {
            status = stream->handshake();
            REQUIRE(status != Stream::Status::failed);
        }
        relay = std::make_unique<Relay>(*stream, std::move(screen.first), "");
    }

    bool pump() { return relay->pump(buffer); }
    std::string read_client() {
        std::string text(65'536, '\0');
        const int length = SSL_read(ssl.get(), text.data(), static_cast<int>(text.size()));
        text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
        return text;
    }

    std::array<char, Relay::buffer_bytes> buffer{};
    std::unique_ptr<Stream> stream;
    UniqueFd client_socket;
    UniqueFd vm;
    std::shared_ptr<SSL_CTX> client_context;
    std::shared_ptr<SSL> ssl;
    std::unique_ptr<Relay> relay;
};

}  // namespace

TEST_CASE("a relay that cannot write holds one buffer and stops reading, and goes on later") {
    for (const bool kernel_tls : {false, true}) {
        CAPTURE(kernel_tls);
        Bench bench(kernel_tls);
        std::mt19937 generator(3);
        std::string sent;
        std::string piece(30'000, '\0');
        // Fill everything from the VM to the client, who does not read.
        while (true) {
            for (char& c : piece) c = static_cast<char>(generator());
            const ssize_t now = ::send(bench.vm.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
            if (now <= 0) break;
            sent.append(piece, 0, static_cast<std::size_t>(now));
            while (bench.pump()) continue;
        }
        CHECK((bench.relay->vm_events() & EPOLLIN) == 0);
        CHECK((bench.relay->client_events() & EPOLLOUT) != 0);
        CHECK(bench.relay->held() <= Relay::buffer_bytes);
        CHECK_FALSE(bench.relay->finished());

        std::string received;
        bench.vm.reset();
        for (int idle = 0; received.size() < sent.size() && idle < 1000; ++idle) {
            const std::string now = bench.read_client();
            if (!now.empty()) idle = 0;
            received += now;
            bench.pump();
        }
        CHECK(received == sent);
        CHECK(bench.relay->reason() == "vm closed");
        CHECK(bench.relay->bytes_down() == sent.size());
    }
}

TEST_CASE("a client that asks for key updates and reads nothing does not fill our memory") {
    Bench bench(false);
    int written = 0;
    int refused = 0;
    while (refused < 3 && written < 200'000) {
        SSL_key_update(bench.ssl.get(), SSL_KEY_UPDATE_REQUESTED);
        refused = SSL_write(bench.ssl.get(), "x", 1) == 1 ? 0 : refused + 1;
        ++written;
        bench.pump();
    }
    // We stopped reading, so the client could not go on for ever.
    CHECK(refused == 3);
    CHECK((bench.relay->client_events() & EPOLLIN) == 0);
}

TEST_CASE("an idle relay holds no bytes and waits for both sides") {
    Bench bench(false);
    CHECK_FALSE(bench.pump());
    CHECK(bench.relay->held() == 0);
    CHECK(bench.relay->client_events() == EPOLLIN);
    CHECK(bench.relay->vm_events() == EPOLLIN);
}
