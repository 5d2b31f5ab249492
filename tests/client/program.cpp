#include "tests/client/program.hpp"

#include "base/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace qvd::testing {
namespace {

constexpr int patience_ms = 20'000;

struct Pipe {
    UniqueFd reader;
    UniqueFd writer;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

[[noreturn]] void become(const Home& home, const std::vector<std::string>& arguments,
                         Program::Environment environment) {
    environment.emplace("HOME", home.path());
    environment.emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
    std::vector<std::string> words{QVDCLIENT_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<std::string> settings;
    for (const auto& [name, value] : environment) settings.push_back(name + "=" + value);
    std::vector<char*> envp;
    for (std::string& setting : settings) envp.push_back(setting.data());
    envp.push_back(nullptr);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
}

bool append_from(UniqueFd& fd, std::string& text) {
    std::array<char, 4096> chunk{};
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got > 0) text.append(chunk.data(), static_cast<std::size_t>(got));
    if (got <= 0) fd.reset();
    return got > 0;
}

}  // namespace

Home::Home() {
    std::string folder = "/tmp/qvdclient-test-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no home");
    path_ = folder;
}

Home::~Home() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void Home::write(const std::string& name, const std::string& content) const {
    const std::filesystem::path file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    if (!file::write_atomic(file.string(), content, 0644).ok())
        throw std::runtime_error("cannot write " + file.string());
}

Program::Program(const Home& home, const std::vector<std::string>& arguments,
                 Environment environment, bool on_terminal) {
    if (on_terminal) {
        int terminal = -1;
        pid_ = ::forkpty(&terminal, nullptr, nullptr, nullptr);
        if (pid_ == 0) become(home, arguments, std::move(environment));
        output_.reset(terminal);
        return;
    }
    Pipe in = make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    pid_ = ::fork();
    if (pid_ == 0) {
        // No controlling terminal: what runs the test may have one.
        ::setsid();
        ::dup2(in.reader.get(), STDIN_FILENO);
        ::dup2(out.writer.get(), STDOUT_FILENO);
        ::dup2(err.writer.get(), STDERR_FILENO);
        become(home, arguments, std::move(environment));
    }
    input_ = std::move(in.writer);
    output_ = std::move(out.reader);
    errors_ = std::move(err.reader);
}

Program::~Program() {
    if (pid_ > 0) (void)finish();
}

void Program::type(const std::string& text) {
    const int fd = input_ ? input_.get() : output_.get();
    if (::write(fd, text.data(), text.size()) < 0) throw std::runtime_error("cannot type");
}

void Program::close_input() {
    input_.reset();
}

bool Program::read_some() {
    std::array<pollfd, 2> watched{{{output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}}};
    if (!output_ && !errors_) return false;
    if (::poll(watched.data(), watched.size(), patience_ms) <= 0) return false;
    bool any = false;
    if (watched[0].revents != 0) any |= append_from(output_, outcome_.out);
    if (watched[1].revents != 0) any |= append_from(errors_, outcome_.err);
    return any || output_ || errors_;
}

bool Program::prints(const std::string& text) {
    while (outcome_.out.find(text) == std::string::npos &&
           outcome_.err.find(text) == std::string::npos)
        if (!read_some()) return false;
    return true;
}

Outcome Program::finish() {
    input_.reset();
    while (read_some()) {
    }
    if (output_ || errors_) ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    outcome_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return outcome_;
}

}  // namespace qvd::testing
