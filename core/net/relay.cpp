#include "net/relay.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace qvd::net {

namespace {

// How often one pump() reads from each side before the other relays have their turn.
constexpr int rounds_down = 16;
constexpr int rounds_up = 64;

bool would_block(int number) {
    return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

}  // namespace

Relay::Relay(Stream& client, UniqueFd vm, std::string early)
    : client_(client), vm_(std::move(vm)), up_(std::move(early)), bytes_up_(up_.size()) {
}

bool Relay::pump(std::span<char> buffer) {
    const bool more_down = !finished_ && pump_down(buffer);
    const bool more_up = !finished_ && pump_up(buffer);
    if (down_over_ && up_over_ && !client_.wants_write()) finished_ = true;
    return !finished_ && (more_down || more_up);
}

bool Relay::pump_down(std::span<char> buffer) {
    for (int round = 0; round < rounds_down; ++round) {
        if (!drain_down()) return false;
        if (vm_ended_) {
            end_down();
            return false;
        }
        if (!move_down(buffer)) return false;
    }
    return true;
}

// One buffer from the VM to the client; whether there may be more.
bool Relay::move_down(std::span<char> buffer) {
    const ssize_t received = ::recv(vm_.get(), buffer.data(), buffer.size(), 0);
    if (received < 0) {
        if (!would_block(errno)) fail("vm", std::generic_category().message(errno));
        return false;
    }
    if (received == 0) {
        vm_ended_ = true;
        note("vm closed");
        return true;
    }
    const auto length = static_cast<std::size_t>(received);
    bytes_down_ += length;
    const std::size_t taken = client_.write({buffer.data(), length});
    if (client_.failed()) {
        fail("client", client_.failure());
        return false;
    }
    if (taken < length) down_.assign(buffer.data() + taken, length - taken);
    // A socket that filled less than the buffer is empty: asking once more would only say so.
    return length == buffer.size() || client_.wants_write();
}

bool Relay::drain_down() {
    client_.flush();
    if (!client_.failed() && !client_.wants_write() && !down_.empty()) {
        down_.erase(0, client_.write(down_));
        if (down_.empty()) down_ = std::string();
    }
    if (client_.failed()) {
        fail("client", client_.failure());
        return false;
    }
    return down_.empty() && !client_.wants_write();
}

void Relay::end_down() {
    if (down_over_) return;
    down_over_ = true;
    client_.shutdown_write();
}

bool Relay::pump_up(std::span<char> buffer) {
    for (int round = 0; round < rounds_up; ++round) {
        if (!drain_up()) return false;
        if (client_ended_) {
            end_up();
            return false;
        }
        const Stream::Read read = client_.read(buffer);
        switch (read.status) {
            case Stream::Status::ok:
                break;
            case Stream::Status::would_block:
                return false;
            case Stream::Status::closed:
                client_ended_ = true;
                note("client closed");
                continue;
            case Stream::Status::failed:
                fail("client", client_.failure());
                return false;
        }
        bytes_up_ += read.bytes;
        const std::size_t sent = send_to_vm({buffer.data(), read.bytes});
        if (finished_) return false;
        if (sent < read.bytes) up_.assign(buffer.data() + sent, read.bytes - sent);
    }
    return true;
}

bool Relay::drain_up() {
    if (up_.empty()) return true;
    up_.erase(0, send_to_vm(up_));
    if (!up_.empty()) return false;
    up_ = std::string();
    return !finished_;
}

void Relay::end_up() {
    if (up_over_) return;
    up_over_ = true;
    ::shutdown(vm_.get(), SHUT_WR);
}

std::size_t Relay::send_to_vm(std::string_view bytes) {
    const ssize_t sent = ::send(vm_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (!would_block(errno)) fail("vm", std::generic_category().message(errno));
    return 0;
}

std::uint32_t Relay::client_events() const {
    std::uint32_t events = 0;
    if (!client_ended_ && up_.empty() && client_.may_read()) events |= EPOLLIN;
    if (client_.wants_write() || !down_.empty()) events |= EPOLLOUT;
    return events;
}

std::uint32_t Relay::vm_events() const {
    std::uint32_t events = 0;
    if (!vm_ended_ && down_.empty() && !client_.wants_write()) events |= EPOLLIN;
    if (!up_.empty()) events |= EPOLLOUT;
    return events;
}

// The first thing that happened is the reason; what follows from it is not.
void Relay::note(std::string_view reason) {
    if (reason_.empty()) reason_ = reason;
}

void Relay::fail(std::string_view side, const std::string& why) {
    note(std::string(side) + " vanished: " + why);
    finished_ = true;
}

}  // namespace qvd::net
