// The node's own nftables tables: VMs open no connections to nodes or to one another (behaviour
// 2.12), and none pretends to be another. Everybody else's rules stay. The tables are `inet qvd`
// and `bridge qvd`; with another prefix of links than "qvd", as of a second node, `qvd-PREFIX`.
#pragma once

#include "base/result.hpp"
#include "hkd/network/addresses.hpp"

#include <memory>
#include <string>
#include <vector>

namespace qvd::hkd::network {

// The link of a VM: nothing else may come from this device.
struct VmLink {
    std::string device;  // the node's end
    std::string mac;
    std::string address;
    std::string name = {};  // of the VM
};

struct FirewallPlan {
    Addresses addresses;
    std::string device_prefix;   // every device that begins so is a VM's
    std::string nat_interface;   // empty: no address translation
    bool vms_use_dhcp = false;   // they ask this node for their address, each for its own
    bool nodes_are_dns = false;  // they may ask nodes for names
    std::vector<VmLink> links;   // of the VMs that are here already
};

// The ruleset as nft reads it. Errors: network.name for a name or address that is none.
Result<std::string> firewall_text(const FirewallPlan& plan);

// Talks to the kernel by libnftables; each call is one transaction. Belongs to one thread.
class Firewall {
public:
    Firewall();
    ~Firewall();
    Firewall(const Firewall&) = delete;
    Firewall& operator=(const Firewall&) = delete;

    // All errors: network.firewall, or those of firewall_text().
    Result<void> replace(const FirewallPlan& plan);
    // After replace().
    Result<void> admit(const VmLink& link);  // before the VM starts; again is no error
    Result<void> expel(const VmLink& link);  // after its end; again is no error
    Result<void> remove(const std::string& device_prefix);

private:
    Result<void> run(const std::string& commands);

    struct Context;
    std::unique_ptr<Context> context_;
    std::string table_;  // of the bridge family, as replace() made it
};

}  // namespace qvd::hkd::network
