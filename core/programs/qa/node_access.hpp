// Which node a command is about, and how it is reached: its own control socket on this machine, or
// as an operator over its L7R port.
#pragma once

#include "admin/node_channel.hpp"
#include "client/person.hpp"
#include "command_line.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace qvd::qa {

class Farm;

// One VM on its node, or several nodes. Belongs to the terminal: may ask for a password and about a
// certificate.
class NodeAccess {
public:
    // Where a VM is looked for: where it lives, or also where it did last.
    enum class Where : std::uint8_t { now, now_or_last };

    // The one VM that the filter means. With --node that node is asked for it, and no database is
    // needed; without, the database says where it runs. not_found "vm.not_found", conflict
    // "vm.several", unavailable "vm.nowhere".
    static Result<std::unique_ptr<NodeAccess>> to_vm(const CommandLine& line,
                                                     Where where = Where::now);

    struct Host {
        std::string name;
        std::unique_ptr<admin::NodeChannel> channel;
    };
    // Each host that the filter means, or the one of --node. not_found "node.not_found".
    static Result<std::unique_ptr<NodeAccess>> to_hosts(const CommandLine& line);

    [[nodiscard]] const std::vector<Host>& hosts() const { return hosts_; }
    [[nodiscard]] VmId vm() const { return vm_; }
    [[nodiscard]] int stop_fd() const { return stop_.fd(); }
    // A new one with each call.
    Result<admin::NodeStream> stream(net::ControlVerb verb);
    Result<std::string> document(const std::string& target);

private:
    explicit NodeAccess(client::StopSignal stop);
    // What each begins with; `farm` is opened unless --node names a host.
    static Result<std::unique_ptr<NodeAccess>> begin(const CommandLine& line,
                                                     std::unique_ptr<Farm>& farm);

    Result<void> find_in_farm(Farm& farm, const CommandLine& line, Where where);
    Result<void> find_on_node(const CommandLine& line);
    Result<void> find_hosts(Farm& farm, const CommandLine& line);
    // To the node of this name, which is in the farm: through its socket if it is this one.
    Result<void> come_to(Farm& farm, const CommandLine& line, const std::string& name);
    Result<void> come_as_operator(const CommandLine& line, std::string host, int port);

    client::StopSignal stop_;
    client::Terminal person_;
    client::SslContext context_;
    client::CertificateJudge judge_;
    std::unique_ptr<admin::NodeChannel> channel_;
    std::vector<Host> hosts_;
    Secret password_;  // of the operator, once it is known
    VmId vm_;
};

// "host", "host:port", "[::1]:port". invalid "usage".
struct NodeAddress {
    std::string host;
    int port = 8443;
};
Result<NodeAddress> parse_node(const std::string& text);

}  // namespace qvd::qa
