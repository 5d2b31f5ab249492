// A guest that pretends to be others, frame by frame, and VMs of two nodes on one network.
#include "base/file.hpp"
#include "base/text.hpp"
#include "hkd/network/firewall.hpp"
#include "tests/hkd/raw_frames.hpp"

#include <algorithm>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::network;

namespace {

const VmLink spoofer{"qvd7", "54:52:00:03:0f:37", "10.3.15.55", {}};
const VmLink next_door{"qvd8", "54:52:00:03:0f:38", "10.3.15.56", {}};
const std::string gateway = "10.3.15.1";

struct Lie {
    std::string name;
    Bytes frame;
};

Bytes words(const std::string& from, const std::string& to) {
    return ipv4(from, to, IPPROTO_UDP, udp(4000, 4001, "listen to me: I am who I say that I am"));
}

Bytes with_vlan(const Bytes& frame) {
    return frame.substr(0, 12) + number(0x8100'0005, 4) + frame.substr(12);
}

// What the node is not to hear, of a VM that knows everybody's addresses.
std::vector<Lie> lies(const std::string& node_mac) {
    const std::string& me = spoofer.mac;
    const std::string& my = spoofer.address;
    const auto asks = [](const std::string& from, const std::string& card) {
        return ipv4(from, "255.255.255.255", IPPROTO_UDP, udp(68, 67, dhcp(card)));
    };
    return {
        {"another's MAC", ethernet(node_mac, next_door.mac, ETH_P_IP, words(my, gateway))},
        {"the node's MAC", ethernet(node_mac, node_mac, ETH_P_IP, words(my, gateway))},
        {"another's address", ethernet(node_mac, me, ETH_P_IP, words(next_door.address, gateway))},
        {"the node's address", ethernet(node_mac, me, ETH_P_IP, words(gateway, gateway))},
        {"an address outside", ethernet(node_mac, me, ETH_P_IP, words("8.8.8.8", gateway))},
        {"ARP: the gateway is here",
         ethernet(everybody, me, ETH_P_ARP, arp_reply(me, gateway, my))},
        {"ARP: the neighbour is here",
         ethernet(node_mac, me, ETH_P_ARP, arp_reply(me, next_door.address, gateway))},
        {"ARP: I have another's card",
         ethernet(node_mac, me, ETH_P_ARP, arp_reply(next_door.mac, my, gateway))},
        {"ARP with another's MAC",
         ethernet(node_mac, next_door.mac, ETH_P_ARP, arp_reply(me, my, gateway))},
        {"DHCP with another's MAC",
         ethernet(everybody, next_door.mac, ETH_P_IP, asks("0.0.0.0", me))},
        {"DHCP for another's card",
         ethernet(everybody, me, ETH_P_IP, asks("0.0.0.0", next_door.mac))},
        {"DHCP for another's card, from its own address",
         ethernet(everybody, me, ETH_P_IP, asks(my, next_door.mac))},
        {"DHCP in fragments", ethernet(everybody, me, ETH_P_IP,
                                       ipv4(my, "255.255.255.255", IPPROTO_UDP,
                                            udp(68, 67, dhcp(me).substr(0, 32)), 0x2000))},
        {"from nobody, and no DHCP", ethernet(node_mac, me, ETH_P_IP, words("0.0.0.0", gateway))},
        {"IPv6", ethernet(everybody, me, ETH_P_IPV6, Bytes(1, '\x60') + Bytes(79, '\0'))},
        {"a VLAN's tag", with_vlan(ethernet(node_mac, me, ETH_P_IP, words(my, gateway)))},
        {"a bridge's greeting",
         ethernet("01:80:c2:00:00:00", me, 39, Bytes("\x42\x42\x03", 3) + Bytes(36, '\0'))},
        {"link layer discovery", ethernet("01:80:c2:00:00:0e", me, 0x88cc, "\x02\x07\x04")},
    };
}

std::string mac_of_device(const std::string& device) {
    return std::string(text::trim(file::read("/sys/class/net/" + device + "/address").value()));
}

bool contains(const std::vector<Bytes>& frames, const Bytes& frame) {
    return std::ranges::find(frames, frame) != frames.end();
}

// Another node's end of the network that both are on, with a VM of its own that it does not guard.
class OtherNode {
public:
    OtherNode() : name_(unique("qvd-hkd-other-")) {
        sh("ip netns add " + name_);
        sh("ip link add uplink1 type veth peer name eth0 netns " + name_);
        sh("ip link set uplink1 master qvdtest0 up");
        sh("ip -n " + name_ + " addr add 10.3.15.2/24 dev eth0");
        sh("ip -n " + name_ + " addr add 10.3.15.60/24 dev eth0");
        sh("ip -n " + name_ + " link set eth0 up");
        REQUIRE(sh("for i in $(seq 100); do ip -o link show uplink1 | grep -q 'state UP' && "
                   "ip -n " +
                   name_ +
                   " -o link show eth0 | grep -q 'state UP' && exit 0; "
                   "sleep 0.1; done; exit 1") == 0);
    }
    OtherNode(const OtherNode&) = delete;
    OtherNode& operator=(const OtherNode&) = delete;
    ~OtherNode() {
        sh("ip link del uplink1");
        sh("ip netns del " + name_);
    }
    [[nodiscard]] const std::string& netns() const { return name_; }

private:
    std::string name_;
};

// Sends one datagram from a VM, to everybody if need be.
void tell(const std::string& netns, const std::string& from, const std::string& to, int port) {
    within(netns, [&] {
        const UniqueFd out(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const int yes = 1;
        ::setsockopt(out.get(), SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
        sockaddr_in where{};
        where.sin_family = AF_INET;
        ::inet_pton(AF_INET, from.c_str(), &where.sin_addr);
        REQUIRE(::bind(out.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
        where.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, to.c_str(), &where.sin_addr);
        ::sendto(out.get(), "?", 1, 0, reinterpret_cast<const sockaddr*>(&where), sizeof where);
    });
}

bool hears(const UniqueFd& ear, int wait_ms) {
    pollfd wait{ear.get(), POLLIN, 0};
    char word = 0;
    return ::poll(&wait, 1, wait_ms) == 1 && ::recv(ear.get(), &word, 1, 0) == 1;
}

UniqueFd ear_in(const std::string& netns, int port) {
    UniqueFd fd;
    within(netns, [&] {
        fd = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(static_cast<std::uint16_t>(port));
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
    });
    return fd;
}

}  // namespace

TEST_CASE("a guest is heard as itself, and whatever else it pretends to be is not") {
    NEEDS_OWN_NETWORK();
    Network network;
    const config::View asking = view({{"vm.network.use_dhcp", "1"}});
    REQUIRE(network.raise(asking, gateway, true, {}).ok());
    REQUIRE(network.admit(spec_of(spoofer), spoofer.address).ok());
    REQUIRE(network.admit(spec_of(next_door), next_door.address).ok());
    const Tap tap(spoofer.device, "qvdtest0");
    const std::string node_mac = mac_of_device("qvdtest0");
    const std::vector<Lie> all = lies(node_mac);
    const FrameEar node("qvdtest0");
    const Bytes honest = ethernet(node_mac, spoofer.mac, ETH_P_IP, words(spoofer.address, gateway));
    const Bytes says_where = ethernet(everybody, spoofer.mac, ETH_P_ARP,
                                      arp_reply(spoofer.mac, spoofer.address, gateway));
    const Bytes asks =
        ethernet(everybody, spoofer.mac, ETH_P_IP,
                 ipv4("0.0.0.0", "255.255.255.255", IPPROTO_UDP, udp(68, 67, dhcp(spoofer.mac))));

    SUBCASE("of its lies, none arrives") {
        for (const Lie& lie : all) tap.send(lie.frame);
        tap.send(says_where);
        tap.send(asks);
        tap.send(honest);
        const std::vector<Bytes> heard = node.heard_until(honest);
        for (const Lie& lie : all) {
            CAPTURE(lie.name);
            CHECK_FALSE(contains(heard, lie.frame));
        }
        CHECK(contains(heard, says_where));
        CHECK(contains(heard, asks));
        CHECK(sh("ip neigh show 10.3.15.56 | grep -q .") != 0);
    }
    SUBCASE("without the tables each does: it is these rules that keep them away") {
        REQUIRE(Firewall().remove("qvd").ok());
        // The bridge itself keeps its own address and what bridges say to one another.
        for (const Lie& lie : all) tap.send(lie.frame);
        tap.send(honest);
        const std::vector<Bytes> heard = node.heard_until(honest);
        std::size_t arrived = 0;
        for (const Lie& lie : all) arrived += contains(heard, lie.frame) ? 1 : 0;
        CHECK(arrived >= all.size() - 4);
    }
    SUBCASE("where nobody is to ask for an address, not even an honest question arrives") {
        REQUIRE(network.raise(view(), gateway, true, {spoofer, next_door}).ok());
        tap.send(asks);
        tap.send(honest);
        CHECK_FALSE(contains(node.heard_until(honest), asks));
    }
    REQUIRE(network.remove(asking).ok());
}

TEST_CASE("no frame of a guest gets to another VM of the node") {
    NEEDS_OWN_NETWORK();
    Network network;
    REQUIRE(network.raise(view(), gateway, true, {}).ok());
    const PretendedVm two(8, next_door.address);
    REQUIRE(network.admit(spec_of(spoofer), spoofer.address).ok());
    REQUIRE(network.admit(spec_of(two.link()), two.link().address).ok());
    const Tap tap(spoofer.device, "qvdtest0");
    const UniqueFd ear = ear_in(two.netns(), 4001);
    const Bytes direct =
        ethernet(two.link().mac, spoofer.mac, ETH_P_IP, words(spoofer.address, two.link().address));
    const Bytes to_all =
        ethernet(everybody, spoofer.mac, ETH_P_IP, words(spoofer.address, "255.255.255.255"));
    // By the node, as if that were its router.
    const Bytes routed = ethernet(mac_of_device("qvdtest0"), spoofer.mac, ETH_P_IP,
                                  words(spoofer.address, two.link().address));
    sh("(echo 1 > /proc/sys/net/ipv4/ip_forward)");
    for (const Bytes& frame : {direct, to_all, routed}) tap.send(frame);
    CHECK_FALSE(hears(ear, briefly_ms));
    REQUIRE(Firewall().remove("qvd").ok());
    for (const Bytes& frame : {direct, to_all, routed}) {
        CAPTURE(frame == routed);
        tap.send(frame);
        CHECK(hears(ear, patience_ms));
    }
    sh("(echo 0 > /proc/sys/net/ipv4/ip_forward)");
    REQUIRE(network.remove(view()).ok());
}

TEST_CASE("VMs answer other nodes, and reach neither those nor their VMs") {
    NEEDS_OWN_NETWORK();
    Network network;
    REQUIRE(network.raise(view(), gateway, true, {}).ok());
    const PretendedVm one(1, "10.3.15.50");
    REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
    const OtherNode other;
    const UniqueFd on_one = one.serve(3030);
    UniqueFd on_other;
    within(other.netns(), [&] { on_other = listening("0.0.0.0", 8443); });
    const UniqueFd other_hears = ear_in(other.netns(), 4001);
    const UniqueFd one_hears = ear_in(one.netns(), 4001);

    bool reached = false;
    within(other.netns(), [&] { reached = connects("10.3.15.50", 3030); });
    CHECK(reached);
    tell(other.netns(), "10.3.15.2", "10.3.15.50", 4001);
    CHECK(hears(one_hears, patience_ms));

    CHECK_FALSE(one.reaches("10.3.15.2", 8443, briefly_ms));
    CHECK_FALSE(one.reaches("10.3.15.60", 8443, briefly_ms));
    tell(one.netns(), "10.3.15.50", "10.3.15.2", 4001);
    tell(one.netns(), "10.3.15.50", "10.3.15.60", 4001);
    CHECK_FALSE(hears(other_hears, briefly_ms));
    // What the other node's VM says, to this one or to everybody.
    tell(other.netns(), "10.3.15.60", "10.3.15.50", 4001);
    tell(other.netns(), "10.3.15.60", "10.3.15.255", 4001);
    CHECK_FALSE(hears(one_hears, briefly_ms));

    REQUIRE(Firewall().remove("qvd").ok());
    CHECK(one.reaches("10.3.15.2", 8443));
    tell(one.netns(), "10.3.15.50", "10.3.15.2", 4001);
    CHECK(hears(other_hears, patience_ms));
    tell(other.netns(), "10.3.15.60", "10.3.15.255", 4001);
    CHECK(hears(one_hears, patience_ms));
    REQUIRE(network.remove(view()).ok());
}

TEST_CASE("a DHCP server that stands elsewhere is not heard by VMs, nor are they by it") {
    NEEDS_OWN_NETWORK();
    Network network;
    const config::View asking = view({{"vm.network.use_dhcp", "1"}});
    REQUIRE(network.raise(asking, gateway, true, {}).ok());
    const PretendedVm one(1, "10.3.15.50");
    REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
    const OtherNode other;
    UniqueFd server = ear_in(other.netns(), 67);
    const UniqueFd client = ear_in(one.netns(), 68);
    tell(one.netns(), "10.3.15.50", "10.3.15.255", 67);
    CHECK_FALSE(hears(server, briefly_ms));
    server.reset();
    const auto answer = [&] {
        within(other.netns(), [] {
            const UniqueFd out(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            sockaddr_in where{};
            where.sin_family = AF_INET;
            where.sin_port = htons(67);
            ::inet_pton(AF_INET, "10.3.15.2", &where.sin_addr);
            REQUIRE(::bind(out.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) ==
                    0);
            where.sin_port = htons(68);
            ::inet_pton(AF_INET, "10.3.15.50", &where.sin_addr);
            ::sendto(out.get(), "!", 1, 0, reinterpret_cast<const sockaddr*>(&where), sizeof where);
        });
    };
    answer();
    CHECK_FALSE(hears(client, briefly_ms));
    REQUIRE(Firewall().remove("qvd").ok());
    answer();
    CHECK(hears(client, patience_ms));
    REQUIRE(network.remove(asking).ok());
}
