// The bridge and the firewall, for real: in a network namespace of its own, with VMs that are
// namespaces on the bridge and connections that are made or refused.
#include "hkd/network/network.hpp"

#include "base/file.hpp"
#include "hkd/keys.hpp"
#include "hkd/network/firewall.hpp"
#include "tests/hkd/pretended_vms.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::network;

TEST_CASE("the VMs' network is divided as vm.network.ip.start says") {
    const auto addresses = addresses_of(view()).value();
    CHECK(addresses.text() == "10.3.15.0/24");
    CHECK(to_text(addresses.node_first) == "10.3.15.1");
    CHECK(to_text(addresses.node_last) == "10.3.15.49");
    CHECK(to_text(addresses.vm_first) == "10.3.15.50");
    CHECK(to_text(addresses.vm_last) == "10.3.15.254");
    CHECK(mac_of("54:52:00", addresses.vm_last) == "54:52:00:03:0f:fe");
}

TEST_CASE("a netmask is a prefix length or dotted, and nothing else") {
    CHECK(parse_netmask("255.255.252.0").value() == 22);
    CHECK(parse_netmask("24").value() == 24);
    for (const char* wrong : {"255.0.255.0", "33", "0", "", "24x", "255.255.255.255"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_netmask(wrong).ok());
    }
}

TEST_CASE("a range that leaves no address to nodes is refused by name") {
    const auto wrong = addresses_of(view({{"vm.network.ip.start", "10.3.15.1"}}));
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.error().sentence().find("vm.network.ip.start") != std::string::npos);
}

TEST_CASE("no name from configuration gets into the rules as anything but a name") {
    FirewallPlan plan;
    plan.addresses = addresses_of(view()).value();
    plan.device_prefix = "qvd";
    plan.nat_interface = "eth0\" accept; flush ruleset #";
    CHECK(firewall_text(plan).error().code() == "network.name");
    plan.nat_interface = "";
    plan.links = {{"qvd1", "54:52:00:03:0f:07 }", "10.3.15.7"}};
    CHECK(firewall_text(plan).error().code() == "network.name");
}

TEST_CASE("a node reaches its VMs, and no VM reaches the node or another VM") {
    NEEDS_OWN_NETWORK();
    Network network;
    REQUIRE(network.raise(view(), "10.3.15.1", true, {}).ok());
    const PretendedVm one(1, "10.3.15.50");
    const PretendedVm two(2, "10.3.15.51");
    REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
    REQUIRE(network.admit(spec_of(two.link()), two.link().address).ok());
    const UniqueFd on_node = listening("10.3.15.1", 8443);
    const UniqueFd on_one = one.serve(3030);
    const UniqueFd on_two = two.serve(3030);

    CHECK(connects("10.3.15.50", 3030));
    CHECK(connects("10.3.15.51", 3030));
    CHECK_FALSE(one.reaches("10.3.15.1", 8443, briefly_ms));
    CHECK_FALSE(one.reaches("10.3.15.51", 3030, briefly_ms));
    CHECK_FALSE(two.reaches("10.3.15.50", 3030, briefly_ms));

    SUBCASE("without the tables they would: it is these rules that keep them apart") {
        Firewall firewall;
        REQUIRE(firewall.remove("qvd").ok());
        CHECK(one.reaches("10.3.15.1", 8443));
        CHECK(one.reaches("10.3.15.51", 3030));
    }
    SUBCASE("a VM that takes another's address is not heard") {
        sh("ip -n " + two.netns() + " addr add 10.3.15.60/24 dev eth0");
        const auto server = [&] {
            UniqueFd fd;
            within(two.netns(), [&] { fd = listening("10.3.15.60", 3031); });
            return fd;
        }();
        CHECK_FALSE(connects("10.3.15.60", 3031, briefly_ms));
    }
    SUBCASE("a VM that was expelled is not heard any more, and admitted again it is") {
        REQUIRE(network.expel(spec_of(one.link()), one.link().address).ok());
        REQUIRE(network.expel(spec_of(one.link()), one.link().address).ok());
        CHECK_FALSE(connects("10.3.15.50", 3030, briefly_ms));
        REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
        REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
        CHECK(connects("10.3.15.50", 3030));
    }
    SUBCASE("raised anew by the next hkd, the VMs that are there stay connected") {
        REQUIRE(network.raise(view(), "10.3.15.1", true, {one.link(), two.link()}).ok());
        CHECK(connects("10.3.15.50", 3030));
        CHECK_FALSE(one.reaches("10.3.15.51", 3030, briefly_ms));
    }
    REQUIRE(network.remove(view()).ok());
}

TEST_CASE("a VM asks the node for names and addresses only where the node is to answer") {
    NEEDS_OWN_NETWORK();
    Network network;
    REQUIRE(network.raise(view(), "10.3.15.1", true, {}).ok());
    const PretendedVm one(1, "10.3.15.50");
    REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
    const Ear dns("10.3.15.1", 53);
    const Ear dhcp("10.3.15.1", 67);
    const UniqueFd names = listening("10.3.15.1", 53);
    CHECK_FALSE(dns.hears(one.netns()));
    CHECK_FALSE(dhcp.hears(one.netns()));
    CHECK_FALSE(one.reaches("10.3.15.1", 53, briefly_ms));

    // Somebody else's name server is no reason to let them in here.
    REQUIRE(
        network
            .raise(view({{"vm.network.dns_server", "192.0.2.53"}}), "10.3.15.1", true, {one.link()})
            .ok());
    CHECK_FALSE(dns.hears(one.netns()));
    REQUIRE(network
                .raise(view({{"vm.network.dns_server", "192.0.2.53, 10.3.15.1"}}), "10.3.15.1",
                       true, {one.link()})
                .ok());
    CHECK(dns.hears(one.netns()));
    CHECK(one.reaches("10.3.15.1", 53));
    CHECK_FALSE(dhcp.hears(one.netns()));
    REQUIRE(
        network.raise(view({{"vm.network.use_dhcp", "1"}}), "10.3.15.1", true, {one.link()}).ok());
    CHECK(dns.hears(one.netns()));
    CHECK(dhcp.hears(one.netns()));
    REQUIRE(
        network
            .raise(view({{"vm.network.use_dhcp", "1"}, {"vm.network.dns_server", "192.0.2.53"}}),
                   "10.3.15.1", true, {one.link()})
            .ok());
    CHECK_FALSE(dns.hears(one.netns()));
    REQUIRE(network.remove(view()).ok());
}

TEST_CASE("other rules stay as they are, and nothing of ours remains") {
    NEEDS_OWN_NETWORK();
    REQUIRE(sh("nft add table inet somebody && nft add chain inet somebody theirs") == 0);
    Network network;
    REQUIRE(network.raise(view(), "10.3.15.1", true, {}).ok());
    CHECK(sh("nft list table inet qvd") == 0);
    CHECK(sh("nft list table bridge qvd") == 0);
    CHECK(sh("ip link show qvdtest0 | grep -q qvdtest0") == 0);
    REQUIRE(network.remove(view()).ok());
    REQUIRE(network.remove(view()).ok());
    CHECK(sh("nft list table inet qvd") != 0);
    CHECK(sh("nft list table bridge qvd") != 0);
    CHECK(sh("ip link show qvdtest0") != 0);
    CHECK(sh("nft list chain inet somebody theirs") == 0);
    sh("nft delete table inet somebody");
}

TEST_CASE("two nodes of one machine with prefixes of their own leave one another's rules alone") {
    NEEDS_OWN_NETWORK();
    Network network;
    REQUIRE(network.raise(view(), "10.3.15.1", true, {}).ok());
    const PretendedVm one(1, "10.3.15.50");
    REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
    const UniqueFd on_one = one.serve(3030);
    const config::View second = view({{"vm.network.bridge", "qvdtest1"},
                                      {"vm.network.ip.start", "10.3.16.50"},
                                      {"internal.vm.network.device.prefix", "two"}});
    Network neighbour;
    REQUIRE(neighbour.raise(second, "10.3.16.1", true, {}).ok());
    REQUIRE(
        neighbour.admit(spec_of({"two1", "54:52:00:03:10:32", "10.3.16.50"}), "10.3.16.50").ok());
    CHECK(sh("nft list table bridge qvd-two") == 0);
    CHECK(sh("nft list set bridge qvd-two vm_links | grep -q two1") == 0);
    CHECK(connects("10.3.15.50", 3030));
    REQUIRE(neighbour.remove(second).ok());
    CHECK(sh("nft list table bridge qvd-two") != 0);
    CHECK(sh("nft list table bridge qvd") == 0);
    CHECK(sh("nft list table inet qvd") == 0);
    CHECK(connects("10.3.15.50", 3030));
    REQUIRE(network.remove(view()).ok());
}

TEST_CASE("a bridge of the administrator's is used, and is still there afterwards") {
    NEEDS_OWN_NETWORK();
    sh("ip link add qvdtest0 type bridge");
    Network network;
    REQUIRE(network.raise(view(), "10.3.15.1", true, {}).ok());
    CHECK(sh("ip -4 addr show qvdtest0 | grep -q 10.3.15.1/24") == 0);
    REQUIRE(network.remove(view()).ok());
    CHECK(sh("ip link show qvdtest0") == 0);
    sh("ip link del qvdtest0");
}

TEST_CASE("a missing bridge that the node must not make is named with what to do") {
    NEEDS_OWN_NETWORK();
    Network network;
    const auto raised =
        network.raise(view({{"vm.network.bridge.create", "0"}}), "10.3.15.1", true, {});
    REQUIRE_FALSE(raised.ok());
    CHECK(raised.error().sentence().find("vm.network.bridge.create = 1") != std::string::npos);
}

TEST_CASE("a node whose address belongs to VMs is refused") {
    Network network;
    const auto raised = network.raise(view(), "10.3.15.77", true, {});
    CHECK(raised.error().code() == "network.address");
}

TEST_CASE(
    "with a way out, VMs reach the world with the node's address, and forwarding is put back") {
    NEEDS_OWN_NETWORK();
    const std::string outside = unique("qvd-hkd-out-");
    REQUIRE(sh("ip netns add " + outside) == 0);
    sh("ip link add uplink0 type veth peer name eth0 netns " + outside);
    sh("ip addr add 192.0.2.1/24 dev uplink0 && ip link set uplink0 up");
    sh("ip -n " + outside + " addr add 192.0.2.2/24 dev eth0");
    sh("ip -n " + outside + " link set eth0 up");
    sh("(echo 0 > /proc/sys/net/ipv4/ip_forward)");
    Network network;
    const auto configured = view({{"vm.network.firewall.nat.iface", "uplink0"}});
    REQUIRE(network.raise(configured, "10.3.15.1", true, {}).ok());
    {
        const PretendedVm one(1, "10.3.15.50");
        REQUIRE(network.admit(spec_of(one.link()), one.link().address).ok());
        sh("ip -n " + one.netns() + " route add default via 10.3.15.1");
        UniqueFd server;
        within(outside, [&] { server = listening("192.0.2.2", 80); });
        CHECK(one.reaches("192.0.2.2", 80));
    }
    REQUIRE(network.remove(configured).ok());
    CHECK(sh("grep -q 0 /proc/sys/net/ipv4/ip_forward") == 0);
    sh("ip link del uplink0");
    sh("ip netns del " + outside);
}
