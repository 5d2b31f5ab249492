// The ways into a running VM: its console, its screen, its ssh server, each as a connected socket.
// hkd connects and hands on; what flows there it never reads.
#pragma once

#include "hkd/vm_handler.hpp"
#include "net/control.hpp"

#include <functional>
#include <memory>

namespace qvd::hkd {

// Belongs to the event loop, as `backend`, which outlives it.
class VmStreams {
public:
    using Find = std::function<std::shared_ptr<VmHandler>(VmId)>;
    VmStreams(boost::asio::any_io_executor executor, Backend& backend, Find find)
        : executor_(std::move(executor)), backend_(backend), find_(std::move(find)) {}

    // `verb` is one that opens a stream. not_found "vm.not_here"; conflict "vm.no_console",
    // "vm.no_vnc" and "vm.no_ssh" with what to do about it; unavailable "vm.stream" when nobody
    // answers there.
    Async<UniqueFd> open(net::ControlVerb verb, VmId vm);

private:
    Async<UniqueFd> open_endpoint(net::ControlVerb verb, VmPlan plan);
    Async<UniqueFd> connect_tcp(std::string address, std::uint16_t port);

    boost::asio::any_io_executor executor_;
    Backend& backend_;
    Find find_;
};

}  // namespace qvd::hkd
