#include "backend/unpacker.hpp"

#include "common/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace qvd::lxc {

namespace {

constexpr int look_every_ms = 200;  // whether the call was cancelled

Fields outcome(std::string_view result, std::string_view sentence) {
    Fields fields;
    fields.add("result", result);
    fields.add("sentence", sentence);
    return fields;
}

int spawn(const std::vector<std::string>& arguments, int output, pid_t& pid) {
    std::vector<std::string> copies(arguments);
    std::vector<char*> pointers;
    pointers.reserve(copies.size() + 1);
    for (std::string& argument : copies) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    char* environment[] = {nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output, 1);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    const int error =
        ::posix_spawn(&pid, pointers.front(), &files, &attributes, pointers.data(), environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

// "result=ok layout=basic bytes=12": each word a field, but a sentence reaches to the line's end.
Fields words_of(const std::string& line) {
    std::string lines;
    const std::size_t sentence = line.find(" sentence=");
    for (const char c : line.substr(0, sentence)) lines += c == ' ' ? '\n' : c;
    if (sentence != std::string::npos) lines += "\n" + line.substr(sentence + 1);
    return Fields::parse(lines);
}

class Conversation {
public:
    Conversation(int fd, const UnpackWatch& watch) : fd_(fd), watch_(watch) {}

    // Until the program closes its output; the result that it told, or none.
    Fields listen() {
        for (;;) {
            const auto left = watch_.remaining();
            if (left.count() <= 0) return outcome("timeout", "unpacking took too long");
            pollfd readable{fd_, POLLIN, 0};
            const int wait = static_cast<int>(std::min<std::int64_t>(left.count(), look_every_ms));
            if (::poll(&readable, 1, wait) <= 0) continue;
            char bytes[4096];
            const ssize_t n = ::read(fd_, bytes, sizeof bytes);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return result_;
            hear(std::string_view(bytes, static_cast<std::size_t>(n)));
        }
    }

private:
    void hear(std::string_view bytes) {
        constexpr std::size_t line_limit = 65536;
        text_.append(bytes);
        for (std::size_t end = 0; (end = text_.find('\n')) != std::string::npos;) {
            const Fields said = words_of(text_.substr(0, end));
            text_.erase(0, end + 1);
            if (!said.get("result").empty()) result_ = said;
            if (!said.get("progress").empty())
                watch_.progress(
                    static_cast<int>(std::clamp<std::int64_t>(said.number("progress"), 0, 100)));
        }
        if (text_.size() > line_limit) text_.clear();
    }

    int fd_;
    const UnpackWatch& watch_;
    std::string text_;
    Fields result_;
};

}  // namespace

Fields run_unpacker(const std::vector<std::string>& arguments, const UnpackWatch& watch) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return outcome("system", std::string("cannot make a pipe: ") + std::strerror(errno));
    const UniqueFd input(ends[0]);
    UniqueFd output(ends[1]);
    pid_t pid = 0;
    if (const int error = spawn(arguments, output.get(), pid); error != 0)
        return outcome("system", "cannot run " + arguments.front() + ": " + std::strerror(error));
    output.reset();
    Fields result = Conversation(input.get(), watch).listen();
    if (result.get("result") == "timeout") ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!result.empty()) return result;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return outcome("killed", "the archive made the unpacker do what it must not");
    return outcome("killed", "the unpacker was killed");
}

}  // namespace qvd::lxc
