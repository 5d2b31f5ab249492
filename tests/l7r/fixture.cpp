#include "tests/l7r/fixture.hpp"

#include "l7r/role.hpp"
#include "net/listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace qvd::test {

namespace {

constexpr int patience_seconds = 20;

void limit_waiting(int socket) {
    const timeval limit{patience_seconds, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

}  // namespace

ScriptedBroker::ScriptedBroker(UniqueFd socket) : socket_(std::move(socket)) {
    limit_waiting(socket_.get());
}

void ScriptedBroker::send(const net::Frame& frame) {
    const Result<void> sent = net::send_frame(socket_.get(), frame);
    REQUIRE(sent.ok());
}

net::Frame ScriptedBroker::receive() {
    Result<net::Frame> frame = net::receive_frame(socket_.get());
    if (!frame.ok()) FAIL("no frame came: " << frame.error().sentence());
    return std::move(frame).value();
}

bool ScriptedBroker::quiet() const {
    pollfd waiting{socket_.get(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 0;
}

ScriptedBroker& ScriptedBroker::next_of(ScriptedBroker& a, ScriptedBroker& b) {
    std::array<pollfd, 2> waiting{{{a.socket_.get(), POLLIN, 0}, {b.socket_.get(), POLLIN, 0}}};
    REQUIRE(::poll(waiting.data(), waiting.size(), patience_seconds * 1000) > 0);
    return (waiting[0].revents & POLLIN) != 0 ? a : b;
}

const Identity& node_identity() {
    static const Identity identity = self_signed("node");
    return identity;
}

net::Configure configuration(const Identity& server) {
    net::Configure configure;
    configure.certificate = server.certificate;
    configure.key = Secret(server.key);
    configure.first_byte_ms = 10'000;
    configure.head_ms = 10'000;
    configure.connect_ms = 2000;
    return configure;
}

RunningWorker::RunningWorker(std::chrono::milliseconds broker_patience) {
    auto sockets = net::role_sockets();
    REQUIRE(sockets.ok());
    supervisor_ = std::move(sockets.value().first);
    thread_ = std::thread([socket = std::move(sockets.value().second), broker_patience]() mutable {
        l7r::run(net::RoleLink(std::move(socket), net::Role::l7r, "l7r-test"), false,
                 broker_patience);
    });
    give_lifeline();
    listen();
}

void RunningWorker::give_lifeline() {
    UniqueFd end(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un unnamed{};
    unnamed.sun_family = AF_UNIX;
    // The kernel chooses an abstract address.
    REQUIRE(::bind(end.get(), reinterpret_cast<sockaddr*>(&unnamed), sizeof unnamed.sun_family) ==
            0);
    REQUIRE(::listen(end.get(), 4) == 0);
    lifeline_length_ = sizeof lifeline_;
    REQUIRE(::getsockname(end.get(), reinterpret_cast<sockaddr*>(&lifeline_), &lifeline_length_) ==
            0);
    order({net::order::Lifeline{}, std::move(end)});
}

void RunningWorker::find_supervisor() {
    supervisor_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    REQUIRE(::connect(supervisor_.get(), reinterpret_cast<sockaddr*>(&lifeline_),
                      lifeline_length_) == 0);
}

RunningWorker::~RunningWorker() {
    if (!thread_.joinable()) return;
    static_cast<void>(net::send_order(supervisor_.get(), {net::order::Stop{}, {}}).ok());
    thread_.join();
}

void RunningWorker::join() {
    thread_.join();
}

void RunningWorker::order(const net::Order& order) {
    REQUIRE(net::send_order(supervisor_.get(), order).ok());
}

void RunningWorker::listen() {
    auto listener = net::listen_on("127.0.0.1", 0);
    REQUIRE(listener.ok());
    port_ = net::port_of(listener.value().get()).value();
    order({net::order::Listen{"test"}, std::move(listener).value()});
}

void RunningWorker::listen_at(const UniqueFd& listener) {
    order({net::order::Listen{"shared"}, UniqueFd(::dup(listener.get()))});
}

ScriptedBroker RunningWorker::add_broker() {
    auto sockets = net::frame_sockets();
    REQUIRE(sockets.ok());
    order({net::order::Peer{net::Role::broker, "broker-test"}, std::move(sockets.value().second)});
    ScriptedBroker broker(std::move(sockets.value().first));
    hello_ = broker.expect<net::Hello>();
    return broker;
}

ScriptedBroker RunningWorker::add_broker(const net::Configure& configure) {
    ScriptedBroker broker = add_broker();
    broker.send(configure);
    CHECK(report<net::report::Status>().text.empty());
    return broker;
}

net::Report RunningWorker::next_report() {
    pollfd waiting{supervisor_.get(), POLLIN, 0};
    REQUIRE(::poll(&waiting, 1, patience_seconds * 1000) == 1);
    auto report = net::receive_report(supervisor_.get());
    REQUIRE(report.ok());
    REQUIRE(report.value().has_value());
    return *std::move(report).value();
}

UniqueFd connect_to(std::uint16_t port, int receive_buffer) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receive_buffer > 0)
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    limit_waiting(socket.get());
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("cannot connect to the worker");
    return socket;
}

std::string receive_exactly(int socket, std::size_t bytes) {
    std::string received(bytes, '\0');
    std::size_t have = 0;
    while (have < bytes) {
        const ssize_t now = ::recv(socket, received.data() + have, bytes - have, 0);
        if (now <= 0) break;
        have += static_cast<std::size_t>(now);
    }
    received.resize(have);
    return received;
}

bool send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t now = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (now <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(now));
    }
    return true;
}

Client::Client(std::uint16_t port) : Client(port, Options{}) {
}

Client::Client(std::uint16_t port, const Options& options)
    : socket_(connect_to(port, options.receive_buffer)) {
    if (!options.tls) {
        connected_ = true;
        return;
    }
    context_.reset(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_options(context_.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (options.version != 0) SSL_CTX_set_max_proto_version(context_.get(), options.version);
    if (options.version != 0 && options.version < TLS1_2_VERSION)
        SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
    ssl_.reset(SSL_new(context_.get()), SSL_free);
    if (options.identity != nullptr) {
        const std::string& certificate = options.identity->certificate;
        const std::string& key = options.identity->key;
        BIO* bio = BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size()));
        X509* const x509 = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
        SSL_use_certificate(ssl_.get(), x509);
        X509_free(x509);
        BIO_free(bio);
        bio = BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
        EVP_PKEY* const pkey = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
        SSL_use_PrivateKey(ssl_.get(), pkey);
        EVP_PKEY_free(pkey);
        BIO_free(bio);
    }
    if (!options.alpn.empty())
        SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(options.alpn.data()),
                            static_cast<unsigned>(options.alpn.size()));
    if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
    SSL_set_fd(ssl_.get(), socket_.get());
    connected_ = SSL_connect(ssl_.get()) == 1;
}

Client::~Client() = default;
Client::Client(Client&& other) noexcept = default;

bool Client::send(std::string_view bytes) {
    if (!ssl_) return send_all(socket_.get(), bytes);
    return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
           static_cast<int>(bytes.size());
}

std::string Client::read_record() {
    if (!rest_.empty()) return std::exchange(rest_, {});
    std::string record(65'536, '\0');
    const auto size = static_cast<int>(record.size());
    const auto length = ssl_ ? SSL_read(ssl_.get(), record.data(), size)
                             : ::recv(socket_.get(), record.data(), record.size(), 0);
    record.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return record;
}

std::string Client::read_exactly(std::size_t bytes) {
    std::string all;
    while (all.size() < bytes) {
        const std::string record = read_record();
        if (record.empty()) break;
        all += record;
    }
    if (all.size() > bytes) {
        rest_ = all.substr(bytes);
        all.resize(bytes);
    }
    return all;
}

Received Client::read_reply() {
    Received reply;
    std::string all;
    std::size_t end = std::string::npos;
    while ((end = all.find("\r\n\r\n")) == std::string::npos) {
        const std::string record = read_record();
        if (record.empty()) return reply;
        all += record;
    }
    reply.head = all.substr(0, end + 4);
    rest_ = all.substr(end + 4);
    reply.status = std::stoi(reply.head.substr(9));
    constexpr std::string_view name = "\r\nContent-Length: ";
    const std::size_t length = reply.head.find(name);
    if (length != std::string::npos)
        reply.body = read_exactly(std::stoul(reply.head.substr(length + name.size())));
    return reply;
}

void Client::half_close() {
    if (ssl_) SSL_shutdown(ssl_.get());
    ::shutdown(socket_.get(), SHUT_WR);
}

void Client::close() {
    ssl_.reset();
    socket_.reset();
}

std::string Client::alpn() const {
    const unsigned char* name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &length);
    return {reinterpret_cast<const char*>(name), length};
}

bool Client::resumed() const {
    return SSL_session_reused(ssl_.get()) == 1;
}

std::string Client::peer_name() const {
    X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    std::array<char, 128> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              static_cast<int>(name.size()));
    return name.data();
}

std::shared_ptr<SSL_SESSION> Client::session() const {
    return {SSL_get1_session(ssl_.get()), SSL_SESSION_free};
}

FakeVm::FakeVm() {
    auto listener = net::listen_on("127.0.0.1", 0);
    REQUIRE(listener.ok());
    listener_ = std::move(listener).value();
    port_ = net::port_of(listener_.get()).value();
}

UniqueFd FakeVm::accept() {
    pollfd waiting{listener_.get(), POLLIN, 0};
    REQUIRE(::poll(&waiting, 1, patience_seconds * 1000) == 1);
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    limit_waiting(socket.get());
    return socket;
}

Session start_session(RunningWorker& worker, ScriptedBroker& broker, const Client::Options& options,
                      const std::string& owner) {
    Client client(worker.port(), options);
    REQUIRE(client.connected());
    client.send("GET /qvd/connect_to_vm?id=1 HTTP/1.1\nUpgrade: QVD/1.0\n\n");
    const auto request = broker.expect<net::Request>();
    FakeVm vm;
    broker.send(net::Link{request.request, "127.0.0.1", vm.port()});
    UniqueFd screen = vm.accept();
    CHECK(broker.expect<net::Linked>().request == request.request);
    broker.send(net::Switch{request.request, Secret("key"), "", owner});
    CHECK(client.read_reply().status == 101);
    return {std::move(client), std::move(screen), request.request};
}

}  // namespace qvd::test
