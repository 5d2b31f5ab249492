// dnsmasq, which tells this node's VMs their addresses and answers for their names: on the bridge
// alone, each VM its own address, strangers none. It outlives hkd; the next one goes on with it.
#pragma once

#include "base/result.hpp"
#include "hkd/network/firewall.hpp"
#include "hkd/schedule.hpp"
#include "plugin/processes.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qvd::hkd::network {

struct AddressPlan {
    std::string program;  // absolute
    std::string folder;   // of its settings; made if it is missing
    std::string log;      // file
    std::string bridge;
    Addresses addresses;
    std::uint32_t node = 0;                // this node's address
    std::string gateway;                   // empty: the node
    std::vector<std::string> dns_servers;  // for VMs; empty: the node
    std::string domain;
};

// Whether VMs ask a node for names: their list of servers names one, or is empty.
bool asks_node_for_names(const AddressPlan& plan);

// dnsmasq's settings.
std::string settings_text(const AddressPlan& plan);
// One line of each file of VMs: "MAC,ADDRESS,NAME" and "ADDRESS NAME". A VM whose name cannot be
// that of a machine (one word of letters, digits and -) has none in DNS.
std::string lease_line(const VmLink& vm);
std::string name_line(const VmLink& vm);

// Belongs to the event loop.
class AddressServer {
public:
    // All outlive it.
    AddressServer(boost::asio::any_io_executor loop, plugin::Processes& processes,
                  Schedule& schedule);
    ~AddressServer();
    AddressServer(const AddressServer&) = delete;
    AddressServer& operator=(const AddressServer&) = delete;

    // Starts it, or goes on with the one that runs if it was told the same. One that cannot be
    // started, or ends, is logged and started again, after 1 s and ever later up to a minute.
    // Errors: network.dhcp for settings that cannot be written.
    Result<void> raise(const AddressPlan& plan, const std::vector<VmLink>& vms);
    // Errors: network.dhcp, where the program is missing: the VM would get no address.
    Result<void> admit(const VmLink& vm);
    Result<void> expel(const VmLink& vm);
    // It is gone when this returns, after 2 s at most, and so are its settings, in `folder`.
    Result<void> remove(const std::string& folder);

    [[nodiscard]] int pid() const { return running_ ? running_->pid : 0; }  // 0: none runs

private:
    // What of it a callback may still find.
    struct Here {
        AddressServer* server;
    };

    boost::asio::awaitable<void> supervise();
    void try_to_start();
    Result<void> start();
    bool go_on_with(const std::string& settings_before);
    [[nodiscard]] std::optional<plugin::ProcessStatus> earlier() const;
    plugin::Processes::Ended when_ended();
    void ended(const plugin::ProcessStatus& process);
    Result<void> write_vms();
    void reload();
    void delay_next();

    boost::asio::any_io_executor loop_;
    plugin::Processes& processes_;
    Schedule& schedule_;
    std::unique_ptr<Alarm> alarm_;
    std::shared_ptr<Here> here_;
    std::optional<AddressPlan> plan_;    // nothing: none is wanted
    std::map<std::string, VmLink> vms_;  // by device
    std::optional<plugin::ProcessStatus> running_;
    Clock::time_point since_;
    Clock::time_point next_try_;
    Milliseconds delay_{};
    bool absent_ = false;
    bool replaced_ = false;  // it ends because it is to
    bool supervised_ = false;
};

}  // namespace qvd::hkd::network
