#include "child.hpp"

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <stdexcept>

namespace qvd::check {

namespace {

// Kinds of messages; each is the kind, four bytes of length, and a text.
constexpr char is_level = 'L';
constexpr char is_step = 'S';
constexpr char is_error = 'E';
constexpr char is_warning = 'W';
constexpr char is_skipped = 'K';
constexpr char is_output = 'O';
constexpr char is_not_applicable = 'N';

constexpr std::size_t head_size = 1 + sizeof(std::uint32_t);

void prepare_child() {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    // What the plugin prints must not mix with the report.
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
}

[[noreturn]] void run_child(int fd, Level level, const std::function<void(Messenger&)>& work) {
    prepare_child();
    Messenger messenger(fd, level);
    try {
        work(messenger);
    } catch (const std::exception& problem) {
        messenger.error(std::string("an exception crosses the ABI: ") + problem.what() +
                        "; catch it in the plugin and answer with a status");
    } catch (...) {
        messenger.error(
            "an exception of an unknown type crosses the ABI; catch it in the plugin and answer "
            "with a status");
    }
    ::_exit(0);  // no destructors of the plugin's
}

// Takes the messages apart as they arrive.
class Inbox {
public:
    Inbox(Level level, Received& into) : level_(level), into_(into) {}

    void take(std::string_view bytes) {
        waiting_.append(bytes);
        for (;;) {
            if (waiting_.size() < head_size) return;
            std::uint32_t length = 0;
            std::memcpy(&length, waiting_.data() + 1, sizeof length);
            if (waiting_.size() < head_size + length) return;
            message(waiting_.front(), waiting_.substr(head_size, length));
            waiting_.erase(0, head_size + length);
        }
    }
    void blame(const std::string& what) {
        into_.findings.push_back({level_, Finding::Severity::error, what});
    }
    [[nodiscard]] const std::string& step() const { return step_; }

private:
    void message(char kind, std::string text) {
        switch (kind) {
            case is_level:
                level_ = static_cast<Level>(text.front());
                break;
            case is_step:
                step_ = std::move(text);
                break;
            case is_output:
                into_.output += text;
                break;
            case is_not_applicable:
                into_.applicable = false;
                break;
            case is_error:
                add(Finding::Severity::error, std::move(text));
                break;
            case is_warning:
                add(Finding::Severity::warning, std::move(text));
                break;
            default:
                add(Finding::Severity::skipped, std::move(text));
                break;
        }
    }
    void add(Finding::Severity severity, std::string text) {
        into_.findings.push_back({level_, severity, std::move(text)});
    }

    Level level_;
    Received& into_;
    std::string waiting_;
    std::string step_ = "starting";
};

// False if a step took too long.
bool read_all(int fd, std::chrono::milliseconds limit, Inbox& inbox) {
    std::array<char, 4096> buffer{};
    for (;;) {
        pollfd ready{fd, POLLIN, 0};
        const int count = ::poll(&ready, 1, static_cast<int>(limit.count()));
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) return false;
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got <= 0) return true;
        inbox.take({buffer.data(), static_cast<std::size_t>(got)});
    }
}

void judge_end(int status, Inbox& inbox) {
    if (WIFSIGNALED(status)) {
        const char* const name = ::sigabbrev_np(WTERMSIG(status));
        inbox.blame("the plugin crashes in " + inbox.step() + " (signal SIG" +
                    (name == nullptr ? "?" : name) +
                    "): it would take the whole broker or hkd with it; find out where with "
                    "a debugger");
    } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        inbox.blame("the plugin ends the process in " + inbox.step() + " with status " +
                    std::to_string(WEXITSTATUS(status)) + ": it must only end its own calls");
    }
}

}  // namespace

void Messenger::send(char kind, const std::string& text) const {
    std::string bytes(1, kind);
    const auto length = static_cast<std::uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);  // NOLINT
    bytes += text;
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const ssize_t written = ::write(fd_, rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) ::_exit(0);  // nobody listens any more
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
}

void Messenger::enter(Level level) {
    level_ = level;
    send(is_level, std::string(1, static_cast<char>(level)));
}

void Messenger::step(const std::string& what) {
    send(is_step, what);
}

void Messenger::error(const std::string& sentence) {
    failed_ = true;
    send(is_error, sentence);
}

void Messenger::warning(const std::string& sentence) {
    send(is_warning, sentence);
}

void Messenger::skipped(const std::string& sentence) {
    send(is_skipped, sentence);
}

void Messenger::not_applicable() {
    send(is_not_applicable, {});
}

void Messenger::output(const std::string& text) {
    send(is_output, text);
}

Received in_child(Level level, std::chrono::seconds limit,
                  const std::function<void(Messenger&)>& work) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
    UniqueFd reader{ends[0]};
    UniqueFd writer{ends[1]};
    std::cout << std::flush;
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("cannot fork");
    if (child == 0) {
        reader.reset();
        run_child(writer.get(), level, work);
    }
    ::setpgid(child, child);
    writer.reset();
    Received received;
    Inbox inbox(level, received);
    const bool in_time = read_all(reader.get(), limit, inbox);
    if (!in_time) ::kill(-child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::kill(-child, SIGKILL);  // whatever the plugin left behind in its group
    if (in_time)
        judge_end(status, inbox);
    else
        inbox.blame("the plugin hangs in " + inbox.step() + ": no end after " +
                    std::to_string(limit.count()) + " s");
    return received;
}

}  // namespace qvd::check
