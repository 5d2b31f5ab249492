#include "hkd/vm_streams.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <system_error>

namespace qvd::hkd {

namespace asio = boost::asio;
using net::ControlVerb;

namespace {

constexpr Milliseconds backend_limit{10'000};
constexpr std::chrono::seconds connect_limit{5};
constexpr std::uint16_t ssh_port = 22;

Error nobody(const std::string& where, const std::string& why) {
    return {ErrorKind::unavailable, "vm.stream", "nobody answers at " + where + ": " + why};
}

Error without(ControlVerb verb, VmId vm) {
    if (verb == ControlVerb::vnc)
        return {ErrorKind::conflict, "vm.no_vnc",
                "vm " + vm.text() +
                    " has no VNC screen: only kvm has, with vm.vnc.redirect = 1 when it starts"};
    return {ErrorKind::conflict, "vm.no_console",
            "vm " + vm.text() +
                " has no console: a container has one while it runs, kvm with vm.serial.redirect = "
                "1 when it starts"};
}

// On a local socket this never waits for more than room in the other's queue.
Result<UniqueFd> connect_local(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path) return nobody(path, "the path is too long");
    std::memcpy(&name.sun_path, path.data(), path.size());
    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd) return errno_error("vm.stream", "cannot make a socket");
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the socket interface is made so
    const auto* const address = reinterpret_cast<const sockaddr*>(&name);
    if (::connect(fd.get(), address, sizeof name) != 0)
        return nobody(path, std::generic_category().message(errno));
    return fd;
}

bool serves(const plugin::ConsoleEndpoint& endpoint, ControlVerb verb) {
    if (verb == ControlVerb::vnc) return endpoint.kind == "vnc";
    return endpoint.kind == "console" || endpoint.kind == "serial";
}

}  // namespace

Async<UniqueFd> VmStreams::open(ControlVerb verb, VmId vm) {
    const std::shared_ptr<VmHandler> handler = find_(vm);
    if (!handler)
        co_return Error{ErrorKind::not_found, "vm.not_here",
                        "vm " + vm.text() + " does not run on this node"};
    VmPlan plan = handler->plan();
    if (verb != ControlVerb::ssh) co_return co_await open_endpoint(verb, std::move(plan));
    if (plan.address.empty())
        co_return Error{ErrorKind::conflict, "vm.no_ssh", "vm " + vm.text() + " has no address"};
    co_return co_await connect_tcp(plan.address, ssh_port);
}

Async<UniqueFd> VmStreams::open_endpoint(ControlVerb verb, VmPlan plan) {
    const VmId vm = plan.vm;
    const SteadyClock clock;
    const Deadline deadline = Deadline::in(clock, backend_limit);
    const auto endpoints = co_await backend_.console(std::move(plan), deadline);
    if (!endpoints.ok()) {
        if (endpoints.error().kind() == ErrorKind::unsupported) co_return without(verb, vm);
        co_return endpoints.error();
    }
    const auto found = std::ranges::find_if(
        *endpoints, [verb](const plugin::ConsoleEndpoint& one) { return serves(one, verb); });
    if (found == endpoints->end()) co_return without(verb, vm);
    if (found->transport == "unix") co_return connect_local(found->address);
    if (found->transport == "tcp")
        co_return co_await connect_tcp(found->address, static_cast<std::uint16_t>(found->port));
    co_return Error{ErrorKind::unsupported, "vm.stream",
                    "the " + found->kind + " of vm " + vm.text() + " is a " + found->transport +
                        ", which cannot be handed on"};
}

Async<UniqueFd> VmStreams::connect_tcp(std::string address, std::uint16_t port) {
    const std::string where = address + " port " + std::to_string(port);
    boost::system::error_code problem;
    const auto parsed = asio::ip::make_address(address, problem);
    if (problem) co_return nobody(where, "that is no address");
    const asio::ip::tcp::endpoint endpoint(parsed, port);
    boost::beast::tcp_stream stream(executor_);
    stream.expires_after(connect_limit);
    const auto [refused] =
        co_await stream.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
    if (refused) co_return nobody(where, refused.message());
    asio::ip::tcp::socket socket = stream.release_socket();
    const int fd = socket.release(problem);
    if (problem) co_return nobody(where, problem.message());
    co_return UniqueFd{fd};
}

}  // namespace qvd::hkd
