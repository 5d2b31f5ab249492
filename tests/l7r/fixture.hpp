// A real worker in a thread of its own, with a scripted supervisor and broker, and the clients and
// VMs that it serves. Everything blocks with a time limit instead of sleeping.
#pragma once

#include "base/unique_fd.hpp"
#include "net/frames.hpp"
#include "net/role_link.hpp"
#include "tests/net/certificates.hpp"

#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace qvd::test {

// The broker's end, played by the test.
class ScriptedBroker {
public:
    explicit ScriptedBroker(UniqueFd socket);

    void send(const net::Frame& frame);
    net::Frame receive();
    // The next frame, which must be a T.
    template <class T>
    T expect() {
        net::Frame frame = receive();
        INFO("frame kind ", frame.index());
        REQUIRE(std::holds_alternative<T>(frame));
        return std::get<T>(std::move(frame));
    }
    void die() { socket_.reset(); }
    // Which of the two has a frame.
    static ScriptedBroker& next_of(ScriptedBroker& a, ScriptedBroker& b);
    // No frame waits.
    [[nodiscard]] bool quiet() const;

private:
    UniqueFd socket_;
};

// The certificate of most tests' node, made once.
const Identity& node_identity();
// The settings of most tests: TLS and short times.
net::Configure configuration(const Identity& server);

class RunningWorker {
public:
    explicit RunningWorker(std::chrono::milliseconds broker_patience = std::chrono::seconds(5));
    ~RunningWorker();
    RunningWorker(const RunningWorker&) = delete;
    RunningWorker& operator=(const RunningWorker&) = delete;

    // A broker that has been greeted; the frame is kept in hello().
    ScriptedBroker add_broker();
    // As add_broker(), and Configure sent, and accepted.
    ScriptedBroker add_broker(const net::Configure& configure);
    [[nodiscard]] const net::Hello& hello() const { return hello_; }
    void set_hello(net::Hello hello) { hello_ = std::move(hello); }

    void listen();
    // Also at a socket that others share.
    void listen_at(const UniqueFd& listener);
    [[nodiscard]] std::uint16_t port() const { return port_; }
    void order(const net::Order& order);
    // The next report that is a T; others are passed over.
    template <class T>
    T report() {
        while (true) {
            net::Report next = next_report();
            if (std::holds_alternative<T>(next)) return std::get<T>(std::move(next));
        }
    }
    // Waits until the worker has returned.
    void join();
    // The supervisor dies, and another one comes by the lifeline.
    void lose_supervisor() { supervisor_.reset(); }
    void find_supervisor();

private:
    net::Report next_report();
    void give_lifeline();

    UniqueFd supervisor_;
    sockaddr_un lifeline_{};
    socklen_t lifeline_length_ = 0;
    net::Hello hello_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

struct Received {
    int status = 0;
    std::string head;  // with its empty line
    std::string body;
};

// A client's connection, blocking, TLS or plain.
class Client {
public:
    struct Options {
        bool tls = true;
        std::string_view alpn;  // wire form: length byte and name, repeated
        const Identity* identity = nullptr;
        SSL_SESSION* session = nullptr;
        int version = 0;         // of TLS; 0: the best
        int receive_buffer = 0;  // bytes; 0: the kernel's choice
    };
    explicit Client(std::uint16_t port);
    Client(std::uint16_t port, const Options& options);
    ~Client();
    Client(Client&& other) noexcept;
    Client& operator=(Client&&) = delete;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool connected() const { return connected_; }
    bool send(std::string_view bytes);
    // One TLS record, or what one recv() gives; empty at the end.
    std::string read_record();
    // Exactly so many bytes, fewer at the end.
    std::string read_exactly(std::size_t bytes);
    // One reply with its body by Content-Length; heads of 1xx replies have none.
    Received read_reply();
    // Says that nothing more comes (close_notify and FIN).
    void half_close();
    void close();

    [[nodiscard]] std::string alpn() const;
    [[nodiscard]] bool resumed() const;
    [[nodiscard]] std::string peer_name() const;
    // Good once something was read (TLS 1.3 sends it after the handshake).
    [[nodiscard]] std::shared_ptr<SSL_SESSION> session() const;
    [[nodiscard]] int socket() const { return socket_.get(); }

private:
    UniqueFd socket_;
    std::shared_ptr<SSL_CTX> context_;
    std::shared_ptr<SSL> ssl_;
    std::string rest_;
    bool connected_ = false;
};

// Where an nxagent would listen.
class FakeVm {
public:
    FakeVm();
    [[nodiscard]] std::uint16_t port() const { return port_; }
    UniqueFd accept();

private:
    UniqueFd listener_;
    std::uint16_t port_ = 0;
};

UniqueFd connect_to(std::uint16_t port, int receive_buffer = 0);
std::string receive_exactly(int socket, std::size_t bytes);
bool send_all(int socket, std::string_view bytes);

// A kept client whose relay to `vm` runs.
struct Session {
    Client client;
    UniqueFd vm;
    std::uint64_t request = 0;
};
Session start_session(RunningWorker& worker, ScriptedBroker& broker,
                      const Client::Options& options = {}, const std::string& owner = {});

}  // namespace qvd::test
