#include "l7r/vm_connector.hpp"

#include "net/listener.hpp"

#include <sys/epoll.h>

#include <utility>

namespace qvd::l7r {

VmConnector::VmConnector(Loop& loop, std::function<void(Result<UniqueFd>)> on_done)
    : on_done_(std::move(on_done)),
      watch_(loop, [this](std::uint32_t /*events*/) { on_ready(); }),
      retry_(loop, [this] { attempt(); }),
      deadline_(loop, [this] { on_deadline(); }) {
}

void VmConnector::start(std::string address, std::uint16_t port, Milliseconds patience) {
    address_ = std::move(address);
    port_ = port;
    deadline_.start(patience);
    attempt();
}

void VmConnector::stop() {
    retry_.stop();
    deadline_.stop();
    watch_.forget();
    socket_.reset();
}

void VmConnector::attempt() {
    Result<UniqueFd> begun = net::begin_connect(address_, port_);
    if (!begun.ok() && begun.error().code() == "connect.address") {
        done(std::move(begun));
        return;
    }
    if (!begun.ok()) {
        again(begun.error());
        return;
    }
    socket_ = std::move(begun).value();
    if (watch_.watch(socket_.get(), EPOLLOUT)) return;
    again({ErrorKind::unavailable, "connect.refused",
           "the kernel has no memory to watch another connection"});
}

void VmConnector::on_ready() {
    const Result<void> finished = net::finish_connect(socket_.get());
    watch_.forget();
    if (finished.ok())
        done(std::move(socket_));
    else
        again(finished.error());
}

void VmConnector::again(const Error& why) {
    watch_.forget();
    socket_.reset();
    last_failure_ = why.sentence();
    retry_.start(pause);
}

void VmConnector::on_deadline() {
    const std::string where = address_ + ":" + std::to_string(port_);
    done(Error{ErrorKind::timeout, "connect.timeout",
               "the VM's screen at " + where +
                   " cannot be reached: " + (last_failure_.empty() ? "no answer" : last_failure_)});
}

void VmConnector::done(Result<UniqueFd> result) {
    retry_.stop();
    deadline_.stop();
    watch_.forget();
    socket_.reset();
    on_done_(std::move(result));
}

}  // namespace qvd::l7r
