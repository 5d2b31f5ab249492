#include "client/relay.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace qvd::client {
namespace {

using Outcome = Step::Outcome;

constexpr std::size_t buffer_size = 64U << 10U;

// Bytes read from one side and not yet taken by the other.
struct Lane {
    std::vector<char> buffer = std::vector<char>(buffer_size);
    std::size_t begin = 0;
    std::size_t end = 0;
    Outcome last_read = Outcome::wants_read;
    Outcome last_write = Outcome::wants_write;
    bool source_ended = false;

    [[nodiscard]] bool empty() const { return begin == end; }
    [[nodiscard]] std::string_view waiting() const { return {buffer.data() + begin, end - begin}; }
    [[nodiscard]] bool finished() const { return source_ended && empty(); }
};

Step read_socket(int fd, char* buffer, std::size_t size) {
    const ssize_t got = ::recv(fd, buffer, size, 0);
    if (got > 0) return {Outcome::moved, static_cast<std::size_t>(got)};
    if (got == 0) return {Outcome::ended};
    return {errno == EAGAIN || errno == EINTR ? Outcome::wants_read : Outcome::broken};
}

Step write_socket(int fd, std::string_view bytes) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return {Outcome::moved, static_cast<std::size_t>(sent)};
    return {errno == EAGAIN || errno == EINTR ? Outcome::wants_write : Outcome::broken};
}

class Relay {
public:
    Relay(Connection& server, int display, int stop_fd)
        : server_(server), display_(display), stop_fd_(stop_fd) {}

    RelayEnd run(const std::string& first_bytes) {
        down_.buffer.resize(std::max(buffer_size, first_bytes.size()));
        std::memcpy(down_.buffer.data(), first_bytes.data(), first_bytes.size());
        down_.end = first_bytes.size();
        for (;;) {
            while (move()) {
            }
            if (broken_) return *broken_;
            if (down_.finished()) return RelayEnd::server_closed;
            if (up_.finished()) return RelayEnd::display_closed;
            if (stopped_while_waiting()) return RelayEnd::stopped;
        }
    }

private:
    // One round over both lanes; whether anything moved.
    bool move() {
        bool moved = fill(
            down_, [this](char* to, std::size_t size) { return server_.try_read(to, size); },
            RelayEnd::server_broke);
        moved |= drain(
            down_, [this](std::string_view bytes) { return write_socket(display_, bytes); },
            RelayEnd::display_closed);
        moved |= fill(
            up_, [this](char* to, std::size_t size) { return read_socket(display_, to, size); },
            RelayEnd::display_closed);
        moved |= drain(
            up_, [this](std::string_view bytes) { return server_.try_write(bytes); },
            RelayEnd::server_broke);
        return moved && !broken_;
    }

    template <class Read>
    bool fill(Lane& lane, Read read, RelayEnd when_broken) {
        if (broken_ || lane.source_ended || !lane.empty()) return false;
        const Step step = read(lane.buffer.data(), lane.buffer.size());
        lane.last_read = step.outcome;
        if (step.outcome == Outcome::broken) broken_ = when_broken;
        lane.source_ended = step.outcome == Outcome::ended;
        lane.begin = 0;
        lane.end = step.outcome == Outcome::moved ? step.bytes : 0;
        return step.outcome == Outcome::moved;
    }

    template <class Write>
    bool drain(Lane& lane, Write write, RelayEnd when_broken) {
        if (broken_ || lane.empty()) return false;
        const Step step = write(lane.waiting());
        lane.last_write = step.outcome;
        if (step.outcome == Outcome::broken || step.outcome == Outcome::ended)
            broken_ = when_broken;
        lane.begin += step.outcome == Outcome::moved ? step.bytes : 0;
        return step.outcome == Outcome::moved;
    }

    [[nodiscard]] bool stopped_while_waiting() const {
        // TLS may want to write in order to read, and the reverse.
        int server_events = 0;
        if (down_.empty()) server_events |= events_of(down_.last_read);
        if (!up_.empty()) server_events |= events_of(up_.last_write);
        int display_events = 0;
        if (up_.empty()) display_events |= POLLIN;
        if (!down_.empty()) display_events |= POLLOUT;
        // A side from which nothing is wanted now is left out: its hang-up would end every wait.
        std::array<pollfd, 3> watched{
            {{server_events == 0 ? -1 : server_.fd(), static_cast<short>(server_events), 0},
             {display_events == 0 ? -1 : display_, static_cast<short>(display_events), 0},
             {stop_fd_, POLLIN, 0}}};
        ::poll(watched.data(), watched.size(), -1);
        return watched[2].revents != 0;
    }

    static int events_of(Outcome outcome) {
        return outcome == Outcome::wants_write ? POLLOUT : POLLIN;
    }

    Connection& server_;
    int display_;
    int stop_fd_;
    Lane down_;  // server to display
    Lane up_;    // display to server
    std::optional<RelayEnd> broken_;
};

}  // namespace

RelayEnd relay(Connection& server, int display, const std::string& first_bytes, int stop_fd) {
    const RelayEnd end = Relay(server, display, stop_fd).run(first_bytes);
    server.end_writing();
    ::shutdown(display, SHUT_RDWR);
    return end;
}

}  // namespace qvd::client
