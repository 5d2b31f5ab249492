// VMs for tests of the network: namespaces on a bridge, in a network namespace of the test's own.
#pragma once

#include "base/unique_fd.hpp"
#include "hkd/network/addresses.hpp"
#include "hkd/network/links.hpp"
#include "hkd/network/network.hpp"
#include "tests/hkd/world.hpp"
#include "tests/skip.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <thread>

namespace qvd::hkd::network {

inline int sh(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str());
}

// This process moves into a network of its own, once; false: this machine does not allow it.
inline bool in_own_network() {
    static const bool done = [] {
        return ::geteuid() == 0 && ::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
               ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               ::mount("none", "/sys", "sysfs", 0, nullptr) == 0 && sh("ip link set lo up") == 0;
    }();
    return done;
}

// Runs `work` inside another network namespace, on a thread of its own.
template <class Work>
void within(const std::string& netns, Work work) {
    std::thread([&] {
        const int fd = ::open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
        REQUIRE(fd >= 0);
        REQUIRE(::setns(fd, CLONE_NEWNET) == 0);
        ::close(fd);
        work();
    }).join();
}

inline UniqueFd listening(const std::string& address, int port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &where.sin_addr);
    const int yes = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    REQUIRE(::listen(fd.get(), 8) == 0);
    return fd;
}

// How long to wait for a connection that is to be made: what is lost is sent again after a second.
inline constexpr int patience_ms = 5'000;
// And for one that is not: the time that a dropped packet takes to be believed.
inline constexpr int briefly_ms = 700;

inline bool connects(const std::string& address, int port, int wait_ms = patience_ms) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &where.sin_addr);
    ::connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where);
    pollfd wait{fd.get(), POLLOUT, 0};
    if (::poll(&wait, 1, wait_ms) != 1) return false;
    int problem = 0;
    socklen_t length = sizeof problem;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &problem, &length);
    return problem == 0;
}

inline std::string unique(const std::string& name) {
    return name + std::to_string(::getpid());
}

inline config::View view(const std::map<std::string, std::string, std::less<>>& more = {}) {
    std::map<std::string, std::string, std::less<>> values{{"vm.network.bridge", "qvdtest0"},
                                                           {"vm.network.bridge.create", "1"}};
    for (const auto& [key, value] : more) values[key] = value;
    return test::test_view().with_database(values);
}

// A VM: a namespace whose end of a veth pair is on the bridge.
class PretendedVm {
public:
    PretendedVm(int id, const std::string& address)
        : name_(unique("qvd-hkd-" + std::to_string(id) + "-")),
          link_{"qvd" + std::to_string(id), mac_of("54:52:00", parse_ipv4(address).value()),
                address} {
        sh("ip netns add " + name_);
        sh("ip link add " + link_.device + " type veth peer name eth0 netns " + name_);
        sh("ip link set " + link_.device + " master qvdtest0 up");
        sh("ip -n " + name_ + " link set eth0 address " + link_.mac);
        sh("ip -n " + name_ + " addr add " + address + "/24 dev eth0");
        sh("ip -n " + name_ + " link set eth0 up");
        sh("ip -n " + name_ + " link set lo up");
        await_carrier();
    }
    PretendedVm(const PretendedVm&) = delete;
    PretendedVm& operator=(const PretendedVm&) = delete;
    ~PretendedVm() {
        sh("ip link del " + link_.device);
        sh("ip netns del " + name_);
    }
    [[nodiscard]] const VmLink& link() const { return link_; }
    [[nodiscard]] const std::string& netns() const { return name_; }
    UniqueFd serve(int port) const {
        UniqueFd fd;
        within(name_, [&] { fd = listening(link_.address, port); });
        return fd;
    }
    [[nodiscard]] bool reaches(const std::string& address, int port,
                               int wait_ms = patience_ms) const {
        bool reached = false;
        within(name_, [&] { reached = connects(address, port, wait_ms); });
        return reached;
    }

private:
    // The kernel takes note of a new link's carrier up to a second later; until then it drops what
    // either end, or the bridge that has got its first port, is to send.
    void await_carrier() const {
        REQUIRE(
            sh("for i in $(seq 100); do ip -o link show " + link_.device +
               " | grep -q 'state UP' && ip -o link show qvdtest0 | grep -q 'state UP' && ip -n " +
               name_ +
               " -o link show eth0 | grep -q 'state UP' && exit 0; sleep 0.1; done; exit 1") == 0);
    }

    std::string name_;
    VmLink link_;
};

// A UDP port of this machine.
class Ear {
public:
    Ear(const std::string& address, int port)
        : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        where_.sin_family = AF_INET;
        where_.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, address.c_str(), &where_.sin_addr);
        REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&where_), sizeof where_) == 0);
    }
    // Whether it hears a word from there; a dropped one gets the time that it takes to believe it.
    [[nodiscard]] bool hears(const std::string& netns) const {
        within(netns, [this] {
            const UniqueFd out(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            ::sendto(out.get(), "?", 1, 0, reinterpret_cast<const sockaddr*>(&where_),
                     sizeof where_);
        });
        pollfd wait{fd_.get(), POLLIN, 0};
        char word = 0;
        return ::poll(&wait, 1, 700) == 1 && ::recv(fd_.get(), &word, 1, 0) == 1;
    }

private:
    UniqueFd fd_;
    sockaddr_in where_{};
};

inline plugin::VmSpec spec_of(const VmLink& link) {
    plugin::VmSpec spec;
    plugin::NicSpec nic;
    nic.host_device = link.device;
    nic.mac = link.mac;
    spec.nics.push_back(nic);
    return spec;
}

}  // namespace qvd::hkd::network

#define NEEDS_OWN_NETWORK()                                                          \
    if (!in_own_network()) {                                                         \
        qvd::test::skip("this needs root and the right to make network namespaces"); \
        return;                                                                      \
    }
