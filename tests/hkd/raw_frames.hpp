// Ethernet frames as a guest may send them, whatever it pretends: by a TAP, as that of a KVM guest.
#pragma once

#include "tests/hkd/pretended_vms.hpp"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <array>
#include <cstring>
#include <vector>

namespace qvd::hkd::network {

using Bytes = std::string;

inline Bytes number(std::uint64_t value, std::size_t bytes) {
    Bytes text;
    for (std::size_t left = bytes; left > 0; --left)
        text += static_cast<char>((value >> (8 * (left - 1))) & 0xffU);
    return text;
}

inline Bytes mac_bytes(const std::string& mac) {
    Bytes bytes;
    for (std::size_t at = 0; at < mac.size(); at += 3)
        bytes += static_cast<char>(std::stoi(mac.substr(at, 2), nullptr, 16));
    return bytes;
}

inline Bytes address_bytes(const std::string& address) {
    return number(parse_ipv4(address).value(), 4);
}

inline const std::string everybody = "ff:ff:ff:ff:ff:ff";

inline Bytes ethernet(const std::string& to, const std::string& from, std::uint16_t type,
                      const Bytes& content) {
    Bytes frame = mac_bytes(to) + mac_bytes(from) + number(type, 2) + content;
    frame.resize(std::max<std::size_t>(frame.size(), ETH_ZLEN), '\0');
    return frame;
}

inline Bytes arp_reply(const std::string& mac, const std::string& address,
                       const std::string& asker) {
    return number(0x0001'0800'06'04'0002, 8) + mac_bytes(mac) + address_bytes(address) +
           mac_bytes(everybody) + address_bytes(asker);
}

inline std::uint16_t checksum(const Bytes& words) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at + 1 < words.size(); at += 2)
        sum += static_cast<std::uint32_t>(static_cast<unsigned char>(words[at]) << 8U |
                                          static_cast<unsigned char>(words[at + 1]));
    while ((sum >> 16U) != 0) sum = (sum & 0xffffU) + (sum >> 16U);
    return static_cast<std::uint16_t>(~sum);
}

// `fragment`: the flags and the offset.
inline Bytes ipv4(const std::string& from, const std::string& to, std::uint8_t protocol,
                  const Bytes& content, std::uint16_t fragment = 0) {
    Bytes head = number(0x4500, 2) + number(20 + content.size(), 2) + number(1, 2) +
                 number(fragment, 2) + number(64, 1) + number(protocol, 1) + number(0, 2) +
                 address_bytes(from) + address_bytes(to);
    head.replace(10, 2, number(checksum(head), 2));
    return head + content;
}

inline Bytes udp(std::uint16_t from, std::uint16_t to, const Bytes& content) {
    return number(from, 2) + number(to, 2) + number(8 + content.size(), 2) + number(0, 2) + content;
}

// A DHCP message that speaks for the card `mac`, up to where that stands.
inline Bytes dhcp(const std::string& mac) {
    Bytes message = number(0x01'01'06'00, 4) + Bytes(24, '\0') + mac_bytes(mac);
    message.resize(300, '\0');
    return message;
}

// A device that is a port of the bridge, whose frames this process makes.
class Tap {
public:
    Tap(const std::string& name, const std::string& bridge)
        : fd_(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)) {
        ifreq request{};
        request.ifr_flags = IFF_TAP | IFF_NO_PI;
        std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
        REQUIRE(::ioctl(fd_.get(), TUNSETIFF, &request) == 0);  // NOLINT(*-vararg): ioctl is
        REQUIRE(sh("ip link set " + name + " master " + bridge + " up") == 0);
        // 3: the port forwards.
        REQUIRE(sh("for i in $(seq 100); do grep -q 3 /sys/class/net/" + name +
                   "/brport/state && ip -o link show " + bridge +
                   " | grep -q 'state UP' && exit 0; sleep 0.1; done; exit 1") == 0);
    }
    void send(const Bytes& frame) const {
        REQUIRE(::write(fd_.get(), frame.data(), frame.size()) ==
                static_cast<ssize_t>(frame.size()));
    }

private:
    UniqueFd fd_;
};

// Hears every frame that comes in by a device of this network namespace.
class FrameEar {
public:
    explicit FrameEar(const std::string& device)
        : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
        sockaddr_ll where{};
        where.sll_family = AF_PACKET;
        where.sll_protocol = htons(ETH_P_ALL);
        where.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
        REQUIRE(where.sll_ifindex != 0);
        REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
    }
    // Whatever came in before the frame `last`, which is among them; fails if that does not come.
    [[nodiscard]] std::vector<Bytes> heard_until(const Bytes& last) const {
        std::vector<Bytes> frames;
        for (;;) {
            pollfd wait{fd_.get(), POLLIN, 0};
            REQUIRE(::poll(&wait, 1, patience_ms) == 1);
            std::array<char, 2048> buffer{};
            sockaddr_ll from{};
            socklen_t length = sizeof from;
            const ssize_t got = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0,
                                           reinterpret_cast<sockaddr*>(&from), &length);
            REQUIRE(got > 0);
            if (from.sll_pkttype == PACKET_OUTGOING) continue;
            frames.emplace_back(buffer.data(), static_cast<std::size_t>(got));
            if (frames.back() == last) return frames;
        }
    }

private:
    UniqueFd fd_;
};

}  // namespace qvd::hkd::network
