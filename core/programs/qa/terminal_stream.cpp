#include "terminal_stream.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>

namespace qvd::qa {

namespace {

using Outcome = client::Step::Outcome;

// Soft reset (attributes, cursor, keypad), then what that leaves on: mouse and bracketed paste.
constexpr std::string_view calm =
    "\x1B[!p\x1B[?1000l\x1B[?1002l\x1B[?1003l\x1B[?1006l\x1B[?2004l\r\n";

bool write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
}

class Console {
public:
    Console(client::Connection& server, bool leaves, int stop_fd)
        : server_(server), leaves_(leaves), stop_fd_(stop_fd) {}

    ConsoleEnd run() {
        while (!end_) {
            take_from_vm();
            if (!end_) give_to_vm();
            if (!end_) wait();
        }
        return *end_;
    }

private:
    void take_from_vm() {
        for (;;) {
            const client::Step step = server_.try_read(buffer_.data(), buffer_.size());
            last_read_ = step.outcome;
            if (step.outcome == Outcome::ended) end_ = ConsoleEnd::vm_closed;
            if (step.outcome == Outcome::broken) end_ = ConsoleEnd::broke;
            if (step.outcome != Outcome::moved) return;
            if (!write_all({buffer_.data(), step.bytes})) {
                end_ = ConsoleEnd::left;
                return;
            }
        }
    }

    void give_to_vm() {
        while (!typed_.empty()) {
            const client::Step step = server_.try_write(typed_);
            last_write_ = step.outcome;
            if (step.outcome == Outcome::broken || step.outcome == Outcome::ended)
                end_ = ConsoleEnd::broke;
            if (step.outcome != Outcome::moved) return;
            typed_.erase(0, step.bytes);
        }
    }

    void wait() {
        // TLS may want to write in order to read, and the reverse.
        int server_events = last_read_ == Outcome::wants_write ? POLLOUT : POLLIN;
        if (!typed_.empty()) server_events |= last_write_ == Outcome::wants_read ? POLLIN : POLLOUT;
        const bool listens = typed_.empty() && !input_ended_;
        std::array<pollfd, 3> watched{{{server_.fd(), static_cast<short>(server_events), 0},
                                       {listens ? STDIN_FILENO : -1, POLLIN, 0},
                                       {stop_fd_, POLLIN, 0}}};
        if (::poll(watched.data(), watched.size(), -1) < 0) return;
        if (watched[2].revents != 0) end_ = ConsoleEnd::stopped;
        if (watched[1].revents != 0) take_typed();
    }

    void take_typed() {
        const ssize_t got = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (got <= 0) {
            input_ended_ = true;
            // A terminal that is gone is no input that has ended.
            if (leaves_) end_ = ConsoleEnd::left;
            return;
        }
        std::string_view bytes(buffer_.data(), static_cast<std::size_t>(got));
        const std::size_t escape = leaves_ ? bytes.find(escape_key) : std::string_view::npos;
        if (escape != std::string_view::npos) end_ = ConsoleEnd::left;
        typed_ = bytes.substr(0, escape);
    }

    client::Connection& server_;
    bool leaves_;
    int stop_fd_;
    std::array<char, 16384> buffer_{};
    std::string typed_;  // and not sent yet
    Outcome last_read_ = Outcome::wants_read;
    Outcome last_write_ = Outcome::wants_write;
    bool input_ended_ = false;
    std::optional<ConsoleEnd> end_;
};

}  // namespace

RawTerminal::RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

RawTerminal::~RawTerminal() {
    if (!changed_) return;
    if (::isatty(STDOUT_FILENO) == 1) (void)write_all(calm);
    // Keys typed for the VM are not for the shell.
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

ConsoleEnd carry_console(admin::NodeStream& stream, bool leaves, int stop_fd) {
    if (!write_all(stream.first_bytes)) return ConsoleEnd::left;
    Console console(stream.connection, leaves, stop_fd);
    return console.run();
}

}  // namespace qvd::qa
