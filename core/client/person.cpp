#include "client/person.hpp"

#include "client/wait.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <termios.h>

#include <cerrno>
#include <chrono>
#include <optional>

namespace qvd::client {
namespace {

constexpr auto patience_of_a_person = std::chrono::hours(1);
constexpr std::size_t longest_line = 4096;

Error no_terminal() {
    return {ErrorKind::invalid, "usage.no_terminal", "there is no terminal to ask a question on"};
}

// One byte, or none at the end of input.
Result<std::optional<char>> read_byte(int fd, const Patience& patience) {
    char byte = 0;
    ssize_t got = -1;
    do {
        QVD_CHECK(wait_for(fd, POLLIN, patience));
        got = ::read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return errno_error("internal.read", "cannot read the answer");
    return got == 0 ? std::optional<char>{} : std::optional<char>{byte};
}

// Byte by byte: what follows the line end belongs to whoever reads next.
Result<std::string> read_line(int fd, int stop_fd) {
    const SteadyClock clock;
    const Patience patience{Deadline::in(clock, patience_of_a_person), stop_fd};
    std::string line;
    // No growth on the way: what grows leaves copies of a password behind.
    line.reserve(longest_line);
    while (line.size() < longest_line) {
        QVD_TRY(const std::optional<char> byte, read_byte(fd, patience));
        if (!byte && line.empty()) return no_terminal();
        if (!byte || *byte == '\n') return line;
        if (*byte != '\r') line += *byte;
    }
    return Error{ErrorKind::invalid, "usage.answer", "the answer is too long"};
}

Result<Secret> read_secret(int fd, int stop_fd) {
    QVD_TRY(std::string line, read_line(fd, stop_fd));
    Secret secret{line};
    OPENSSL_cleanse(line.data(), line.size());
    return secret;
}

UniqueFd open_terminal() {
    return UniqueFd{::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
}

Result<void> show(int fd, const std::string& text) {
    if (::write(fd, text.data(), text.size()) < 0) return no_terminal();
    return {};
}

// Switches the echo off while it lives.
class Silence {
public:
    explicit Silence(int fd) : fd_(fd), known_(::tcgetattr(fd, &before_) == 0) {
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        if (known_) ::tcsetattr(fd_, TCSAFLUSH, &silent);
    }
    ~Silence() {
        if (known_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;

private:
    int fd_;
    termios before_{};
    bool known_;
};

}  // namespace

Terminal::Terminal(bool allowed, int stop_fd)
    : present_(allowed && ::isatty(STDIN_FILENO) == 1 && open_terminal()), stop_fd_(stop_fd) {
}

Result<std::string> Terminal::ask(const std::string& question) {
    const UniqueFd terminal = open_terminal();
    if (!present_ || !terminal) return no_terminal();
    QVD_CHECK(show(terminal.get(), question));
    return read_line(terminal.get(), stop_fd_);
}

Result<Secret> Terminal::ask_hidden(const std::string& question) {
    const UniqueFd terminal = open_terminal();
    if (!present_ || !terminal) return no_terminal();
    const Silence silence{terminal.get()};
    QVD_CHECK(show(terminal.get(), question));
    Result<Secret> answer = read_secret(terminal.get(), stop_fd_);
    QVD_CHECK(show(terminal.get(), "\n"));
    return answer;
}

Result<Secret> read_secret_line(int fd, int stop_fd) {
    Result<Secret> secret = read_secret(fd, stop_fd);
    if (!secret.ok() && secret.error().code() == "usage.no_terminal")
        return Error{
            ErrorKind::invalid, "usage.no_password",
            "no password: standard input is empty (give it there, in QVDPASSWORD or with -w)"};
    return secret;
}

}  // namespace qvd::client
