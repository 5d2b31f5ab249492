// How many bytes a second of CPU time relays to one client, beside HAProxy as a TLS-terminating TCP
// proxy with the same certificate and cipher. From an optimised build.
//
//   relay_bench [MEBIBYTES per run] [ROUNDS]
//
// Rounds alternate between the two; each figure is the median. Exit status 1: below the floor.
#include "l7r/role.hpp"
#include "net/frames.hpp"
#include "net/listener.hpp"
#include "net/role_link.hpp"
#include "net/tls.hpp"
#include "tests/net/certificates.hpp"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace qvd;

constexpr double floor_ratio = 0.9;
constexpr std::string_view go = "go\n";

template <class T>
T need(Result<T> result) {
    if (!result.ok()) throw std::runtime_error(result.error().sentence());
    return std::move(result).value();
}
void need(const Result<void>& result) {
    if (!result.ok()) throw std::runtime_error(result.error().sentence());
}

// CPU time of a process with all its threads.
double cpu_seconds(pid_t pid) {
    double nanoseconds = 0;
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
        std::ifstream file(task.path() / "schedstat");
        double spent = 0;
        file >> spent;
        nanoseconds += spent;
    }
    return nanoseconds / 1e9;
}

void make_blocking(int socket) {
    const int flags = ::fcntl(socket, F_GETFL);
    ::fcntl(socket, F_SETFL, flags & ~O_NONBLOCK);
}

void wait_for(int socket, short events) {
    pollfd waiting{socket, events, 0};
    if (::poll(&waiting, 1, 10'000) != 1) throw std::runtime_error("nothing happened in 10 s");
}

UniqueFd connect_to(std::uint16_t port) {
    UniqueFd socket = need(net::begin_connect("127.0.0.1", port));
    wait_for(socket.get(), POLLOUT);
    need(net::finish_connect(socket.get()));
    make_blocking(socket.get());
    return socket;
}

// Sends so many bytes to whoever connects and says so.
class Source {
public:
    explicit Source(std::size_t bytes)
        : listener_(need(net::listen_on("127.0.0.1", 0))), bytes_(bytes) {
        make_blocking(listener_.get());
        std::thread([this] { serve(); }).detach();
    }
    [[nodiscard]] std::uint16_t port() const { return need(net::port_of(listener_.get())); }

private:
    void serve() const {
        const std::string block(std::size_t{256} * 1024, 'x');
        while (true) {
            const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
            std::string question(go.size(), '\0');
            if (::recv(client.get(), question.data(), question.size(), MSG_WAITALL) <= 0) continue;
            for (std::size_t left = bytes_; left > 0;) {
                const ssize_t sent =
                    ::send(client.get(), block.data(), std::min(left, block.size()), MSG_NOSIGNAL);
                if (sent <= 0) break;
                left -= static_cast<std::size_t>(sent);
            }
        }
    }

    UniqueFd listener_;
    std::size_t bytes_;
};

class TlsClient {
public:
    explicit TlsClient(std::uint16_t port)
        : socket_(connect_to(port)),
          context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
          ssl_(nullptr, SSL_free) {
        SSL_CTX_set_ciphersuites(context_.get(), "TLS_AES_256_GCM_SHA384");
        SSL_CTX_set_read_ahead(context_.get(), 1);
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), socket_.get());
        if (SSL_connect(ssl_.get()) != 1) throw std::runtime_error("no TLS");
    }
    void send(std::string_view text) {
        SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    }
    std::size_t read() {
        const int length = SSL_read(ssl_.get(), buffer_.data(), static_cast<int>(buffer_.size()));
        return length > 0 ? static_cast<std::size_t>(length) : 0;
    }
    void read_all(std::size_t bytes) {
        while (bytes > 0) {
            const std::size_t now = read();
            if (now == 0) throw std::runtime_error("the stream ended early");
            bytes -= std::min(bytes, now);
        }
    }

private:
    UniqueFd socket_;
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
    std::string buffer_ = std::string(65'536, '\0');
};

class Contender {
public:
    Contender() = default;
    Contender(const Contender&) = delete;
    Contender& operator=(const Contender&) = delete;
    virtual ~Contender() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGTERM);
        ::waitpid(pid_, nullptr, 0);
    }
    // A client at the other end of whose stream is the source.
    virtual std::unique_ptr<TlsClient> connect(std::uint16_t source) = 0;
    [[nodiscard]] pid_t pid() const { return pid_; }

protected:
    pid_t pid_ = -1;
};

class QvdWorker final : public Contender {
public:
    explicit QvdWorker(const test::Identity& identity) {
        auto control = need(net::role_sockets());
        pid_ = ::fork();
        if (pid_ == 0) {
            control.first.reset();
            ::_exit(l7r::run(net::RoleLink(std::move(control.second), net::Role::l7r, "bench"),
                             net::kernel_has_tls()));
        }
        supervisor_ = std::move(control.first);
        UniqueFd listener = need(net::listen_on("127.0.0.1", 0));
        port_ = need(net::port_of(listener.get()));
        auto frames = need(net::frame_sockets());
        broker_ = std::move(frames.first);
        need(
            net::send_order(supervisor_.get(), {net::order::Listen{"bench"}, std::move(listener)}));
        need(net::send_order(supervisor_.get(), {net::order::Peer{net::Role::broker, "bench"},
                                                 std::move(frames.second)}));
        net::Configure configure;
        configure.certificate = identity.certificate;
        configure.key = Secret(identity.key);
        need(net::send_frame(broker_.get(), configure));
    }

    std::unique_ptr<TlsClient> connect(std::uint16_t source) override {
        auto client = std::make_unique<TlsClient>(port_);
        client->send("GET /qvd/connect_to_vm?id=1 HTTP/1.1\r\n\r\n");
        const auto request = expect<net::Request>().request;
        need(net::send_frame(broker_.get(), net::Link{request, "127.0.0.1", source}));
        expect<net::Linked>();
        need(net::send_frame(broker_.get(), net::Switch{request, Secret("key")}));
        client->read();  // the 101
        return client;
    }

private:
    template <class T>
    T expect() {
        while (true) {
            net::Frame frame = need(net::receive_frame(broker_.get()));
            if (std::holds_alternative<T>(frame)) return std::get<T>(std::move(frame));
        }
    }

    UniqueFd supervisor_;
    UniqueFd broker_;
    std::uint16_t port_ = 0;
};

class Haproxy final : public Contender {
public:
    Haproxy(const test::Identity& identity, std::uint16_t source)
        : folder_(std::filesystem::temp_directory_path() /
                  ("relay_bench-" + std::to_string(::getpid()))) {
        std::filesystem::create_directories(folder_);
        std::ofstream(folder_ / "node.pem") << identity.certificate << identity.key;
        // It cannot say which port it got; one that is free now is free in a moment.
        port_ = need(net::port_of(need(net::listen_on("127.0.0.1", 0)).get()));
        std::ofstream(folder_ / "haproxy.cfg")
            << "global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 5s\n"
            << " timeout client 60s\n timeout server 60s\nlisten bench\n"
            << " bind 127.0.0.1:" << port_ << " ssl crt " << (folder_ / "node.pem").string()
            << "\n server source 127.0.0.1:" << source << "\n";
        pid_ = ::fork();
        if (pid_ == 0) {
            const std::string file = (folder_ / "haproxy.cfg").string();
            ::execlp("haproxy", "haproxy", "-q", "-db", "-f", file.c_str(), nullptr);
            ::_exit(127);
        }
        wait_until_it_listens();
    }
    ~Haproxy() override { std::filesystem::remove_all(folder_); }
    Haproxy(const Haproxy&) = delete;
    Haproxy& operator=(const Haproxy&) = delete;

    std::unique_ptr<TlsClient> connect(std::uint16_t /*source*/) override {
        return std::make_unique<TlsClient>(port_);
    }

private:
    void wait_until_it_listens() const {
        for (int attempt = 0; attempt < 200; ++attempt) {
            if (::waitpid(pid_, nullptr, WNOHANG) != 0)
                throw std::runtime_error("haproxy cannot be run (package haproxy)");
            try {
                connect_to(port_);
                return;
            } catch (const std::runtime_error&) {
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
        }
        throw std::runtime_error("haproxy does not listen");
    }

    std::filesystem::path folder_;
    std::uint16_t port_ = 0;
};

struct Figures {
    std::vector<double> per_cpu_second;  // MB
    std::vector<double> per_second;
};

void run(Contender& contender, std::uint16_t source, std::size_t bytes, Figures& figures) {
    const std::unique_ptr<TlsClient> client = contender.connect(source);
    const double cpu = cpu_seconds(contender.pid());
    const auto began = std::chrono::steady_clock::now();
    client->send(go);
    client->read_all(bytes);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    const double megabytes = static_cast<double>(bytes) / 1e6;
    figures.per_cpu_second.push_back(megabytes / (cpu_seconds(contender.pid()) - cpu));
    figures.per_second.push_back(megabytes / took.count());
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

int compare(std::size_t bytes, int rounds) {
    const test::Identity identity = test::self_signed("bench");
    QvdWorker qvd(identity);  // before there are threads
    const Source source(bytes);
    Haproxy haproxy(identity, source.port());
    Figures ours;
    Figures theirs;
    Figures warm_up;
    run(qvd, source.port(), bytes, warm_up);
    run(haproxy, source.port(), bytes, warm_up);
    for (int round = 0; round < rounds; ++round) {
        run(qvd, source.port(), bytes, ours);
        run(haproxy, source.port(), bytes, theirs);
        std::printf("round %d: qvd %.0f, haproxy %.0f MB per CPU-second\n", round + 1,
                    ours.per_cpu_second.back(), theirs.per_cpu_second.back());
    }
    const double ratio = median(ours.per_cpu_second) / median(theirs.per_cpu_second);
    std::printf("\n%-10s %18s %12s\n", "", "MB/CPU-second", "MB/s");
    std::printf("%-10s %18.0f %12.0f\n", "qvd", median(ours.per_cpu_second),
                median(ours.per_second));
    std::printf("%-10s %18.0f %12.0f\n", "haproxy", median(theirs.per_cpu_second),
                median(theirs.per_second));
    std::printf("%-10s %18.2f %12.2f   (floor %.1f per CPU-second)\n", "ratio", ratio,
                median(ours.per_second) / median(theirs.per_second), floor_ratio);
    return ratio >= floor_ratio ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t mebibytes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1024;
    const int rounds = argc > 2 ? static_cast<int>(std::strtol(argv[2], nullptr, 10)) : 7;
    try {
        return compare(mebibytes << 20U, rounds);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "relay_bench: %s\n", error.what());
        return 2;
    }
}
