// The network of this node's VMs: the bridge, the firewall, the way out.
#pragma once

#include "config/view.hpp"
#include "hkd/network/address_server.hpp"
#include "hkd/network/firewall.hpp"
#include "plugin/vm_spec.hpp"

namespace qvd::hkd::network {

// Belongs to one thread; calls take milliseconds.
class Network {
public:
    // Who tells VMs their addresses if they ask; outlives this. Without one nobody does.
    void serve_by(AddressServer& server) { server_ = &server; }

    // Sets up, or sets right, what `view` asks for; `links` of the VMs that are here. The node's
    // own address is `address`. Errors: network.*.
    Result<void> raise(const config::View& view, const std::string& address, bool embedded,
                       const std::vector<VmLink>& links);
    // Nothing of ours remains, and what was changed of the machine is as before.
    Result<void> remove(const config::View& view);

    Result<void> admit(const plugin::VmSpec& vm, const std::string& address);
    Result<void> expel(const plugin::VmSpec& vm, const std::string& address);

private:
    Result<void> guard(const config::View& view, const AddressPlan& serving,
                       std::vector<VmLink> links);

    Firewall firewall_;
    AddressServer* server_ = nullptr;
    bool guarded_ = false;  // the tables are there
};

// Of a VM with a link of its own; nothing without one.
std::optional<VmLink> link_of(const plugin::VmSpec& vm, const std::string& address);

}  // namespace qvd::hkd::network
