// The node's control socket, path.run/control.sock: what only the node knows, as JSON over
// HTTP/1.1, for root and the group qvd-admin.
//   GET /v1/status      GET /v1/vms      GET /v1/plugins      GET /v1/vm/ID/log
//   GET /v1/vm/ID/failure: what it said last before it failed, {why, console, agent}
//   GET /v1/storage: what lies on the node's storage; GET /v1/storage/collect removes what nobody
//   needs of it (collector/report.hpp)
// as text that Prometheus reads, what hkd's plugins count: GET /metrics
// and as an upgrade to QVD-Admin/1.0, a stream: GET /v1/vm/ID/console | vnc | ssh
// The same verbs come from operators elsewhere, by way of the broker (net/control.hpp).
#pragma once

#include "base/result.hpp"
#include "hkd/control_access.hpp"
#include "hkd/vm_handler.hpp"
#include "net/control.hpp"
#include "net/frame_channel.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qvd::hkd {

// Where the answers come from; asked on the event loop.
struct ControlSource {
    struct Status {
        std::string node;
        std::string state;
        std::string reason;
        bool broker = false;      // whether there is one to call agents
        int starting = 0;         // VMs that hold a slot
        std::size_t waiting = 0;  // VMs that wait for one
    };
    std::function<Status()> status;
    std::function<std::vector<VmFacts>()> vms;
    std::function<std::vector<std::string>()> plugins;
    std::function<std::string()> metrics;
    // The file with a VM's console output; empty if it has none here.
    std::function<std::string(VmId)> console_log;
    // A connection to a VM's console, screen or ssh server.
    std::function<Async<UniqueFd>(net::ControlVerb, VmId)> open;
    // Nothing: it has not failed here, or lives again.
    std::function<std::optional<KeptLogs::Kept>(VmId)> failure;
    // JSON documents that take their time.
    std::function<Async<std::string>()> storage;
    std::function<Async<std::string>(net::Headers parameters)> collect;
};

class Control {
public:
    Control(boost::asio::any_io_executor executor, ControlSource source);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    // Listens at `path`, mode 0660, group `group` if there is such a one. Errors: control.socket.
    Result<void> open(const std::string& path, const std::string& group);

    // An operator's call that the broker has let through.
    void serve(net::ControlCall call, std::shared_ptr<net::FrameChannel> broker);

private:
    struct Server;
    std::shared_ptr<Server> server_;
};

}  // namespace qvd::hkd
