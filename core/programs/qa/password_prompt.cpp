// Asking for a new password without showing it.
#include "commands.hpp"

#include <termios.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <string>

namespace qvd::qa {

namespace {

// The terminal does not echo while it lives.
class NoEcho {
public:
    NoEcho() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
    }
    ~NoEcho() {
        if (changed_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
    }
    NoEcho(const NoEcho&) = delete;
    NoEcho& operator=(const NoEcho&) = delete;

private:
    termios before_{};
    bool changed_ = false;
};

Secret read_line() {
    std::string line;
    std::getline(std::cin, line);
    Secret secret{line};
    explicit_bzero(line.data(), line.size());
    return secret;
}

Secret ask(const char* question) {
    // First, because it throws away what was typed before: who answers at once is heard.
    const NoEcho quiet;
    std::cerr << question << std::flush;
    Secret answer = read_line();
    std::cerr << "\n";
    return answer;
}

}  // namespace

Result<Secret> new_password(const CommandLine& line) {
    if (line.has_password && !line.password.equals("-")) return line.password;
    if (::isatty(STDIN_FILENO) == 0) {
        Secret given = read_line();
        if (given.empty())
            return Error{ErrorKind::invalid, "password.empty",
                         "no password came from standard input; nothing was changed"};
        return given;
    }
    Secret first = ask("New password: ");
    const Secret second = ask("Again: ");
    if (!first.equals(second.reveal()))
        return Error{ErrorKind::invalid, "password.mismatch",
                     "the two passwords differ; nothing was changed"};
    return first;
}

}  // namespace qvd::qa
