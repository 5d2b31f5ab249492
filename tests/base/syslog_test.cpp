#include "base/syslog.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace {

// Where the system's log would listen.
class Listener {
public:
    Listener() {
        std::string name = std::filesystem::temp_directory_path() / "qvd-syslog-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder_ = name;
        start();
    }
    ~Listener() { std::filesystem::remove_all(folder_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    void start() {
        socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path().data(), path().size());
        REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    void stop() {
        socket_.reset();
        std::filesystem::remove(path());
    }
    [[nodiscard]] std::string path() const { return folder_ + "/log"; }
    // The next line, or nothing.
    [[nodiscard]] std::string next() const {
        std::array<char, 1024> buffer{};
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0U};
    }

private:
    std::string folder_;
    qvd::UniqueFd socket_;
};

}  // namespace

TEST_CASE("a line reaches the system's log with its severity, program and process") {
    const Listener listener;
    qvd::Syslog log("qvd-node", listener.path());
    log.write(LOG_WARNING, "event=x");
    const std::string line = listener.next();
    CHECK(line.starts_with("<28>"));  // daemon, warning
    CHECK(line.ends_with(" qvd-node[" + std::to_string(::getpid()) + "]: event=x"));
}

TEST_CASE("a log that is started anew is found again, and told what was lost meanwhile") {
    Listener listener;
    qvd::Syslog log("qvd-node", listener.path());
    listener.stop();
    log.write(LOG_INFO, "one");
    log.write(LOG_INFO, "two");
    listener.start();
    log.write(LOG_INFO, "three");
    CHECK(listener.next().find("event=log.lost lines=2") != std::string::npos);
    CHECK(listener.next().ends_with(": three"));
    log.write(LOG_INFO, "four");
    CHECK(listener.next().ends_with(": four"));
}

TEST_CASE("a log that reads nothing holds nobody up") {
    const Listener listener;
    qvd::Syslog log("qvd-node", listener.path());
    for (int i = 0; i < 10'000; ++i) log.write(LOG_INFO, "line " + std::to_string(i));
    CHECK(listener.next().ends_with(": line 0"));
    while (!listener.next().empty()) continue;
    log.write(LOG_INFO, "again");
    CHECK(listener.next().find("event=log.lost") != std::string::npos);
    CHECK(listener.next().ends_with(": again"));
}
