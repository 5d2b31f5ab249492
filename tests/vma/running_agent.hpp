// The real qvd-vma, started in a folder of its own, and calls to it.
#pragma once

#include "agent/protocol.hpp"
#include "tests/vma/workshop.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

namespace qvd::vma::testing {

// Asks until it holds, or `patience` is over.
template <class Condition>
bool wait_until(Condition condition, Milliseconds patience = Milliseconds{30'000}) {
    const SteadyClock clock;
    const Deadline deadline = Deadline::in(clock, patience);
    while (!condition()) {
        if (deadline.passed()) return false;
        std::this_thread::sleep_for(Milliseconds{10});
    }
    return true;
}

// A child that ends with its object.
class Child {
public:
    Child() = default;
    Child(const std::vector<std::string>& argv, const std::string& output,
          const std::vector<std::string>& variables = {}) {
        start(argv, output, variables);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { end(SIGKILL); }

    void start(const std::vector<std::string>& argv, const std::string& output,
               const std::vector<std::string>& variables = {}) {
        std::vector<char*> pointers;
        for (const std::string& text : argv) pointers.push_back(const_cast<char*>(text.c_str()));
        pointers.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ != 0) return;
        ::setsid();
        for (const std::string& variable : variables) ::putenv(const_cast<char*>(variable.c_str()));
        const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::execvp(pointers[0], pointers.data());
        ::_exit(127);
    }
    // Ends it and returns its wait status.
    int end(int signal) {
        if (pid_ <= 0) return 0;
        ::kill(pid_, signal);
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = 0;
        return status;
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_ = 0;
};

class RunningAgent {
public:
    explicit RunningAgent(std::string further = "") : further_(std::move(further)) { start(); }

    void start() {
        std::filesystem::create_directories(folder.at("log"));
        const std::string config = folder.write(
            "vma.conf", "path.run = " + folder.at("run") + "\npath.log = " + folder.at("log") +
                            "\npath.plugins = " + folder.at("plugins") +
                            "\nlog.filename =\nlog.level = DEBUG\nvma.address = 127.0.0.1\n"
                            "internal.vm.port.vma = 0\nvma.token.file = " +
                            folder.at("token") + "\nvma.user.home.drive =\nvma.user.home.path = " +
                            folder.at("home") + "\ncommand.poweroff = /bin/true\n" + further_);
        std::filesystem::remove(folder.at("stderr"));
        child.start({QVD_VMA, "--config", config}, folder.at("stderr"));
        if (!wait_until([this] { return log().find("event=vma.listening") != std::string::npos; }))
            throw std::runtime_error("qvd-vma does not start: " + log());
        const std::string text = log();
        port_ = static_cast<std::uint16_t>(
            std::stoi(text.substr(text.find(" port=", text.find("event=vma.listening")) + 6)));
    }

    [[nodiscard]] std::string log() const { return folder.read("stderr"); }
    [[nodiscard]] std::uint16_t port() const { return port_; }

    // The raw answer to raw bytes, until the agent closes.
    [[nodiscard]] std::string exchange(std::string_view request) const {
        const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            return "";
        ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL);
        std::string answer;
        char buffer[4096];
        for (ssize_t got = 0; (got = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
            answer.append(buffer, static_cast<std::size_t>(got));
        return answer;
    }

    // What a method answers.
    [[nodiscard]] Result<agent::Value> call(std::string_view method,
                                            const agent::Parameters& parameters = {}) const {
        const std::string answer = exchange("GET " + agent::request_target(method, parameters) +
                                            " HTTP/1.1\r\nConnection: close\r\n\r\n");
        const std::size_t body = answer.find("\r\n\r\n");
        if (!answer.starts_with("HTTP/1.1 200 ") || body == std::string::npos)
            return Error{ErrorKind::internal, "test", answer};
        return agent::decode_body(std::string_view(answer).substr(body + 4));
    }
    [[nodiscard]] std::string state() const { return call("x_state").value().text; }
    [[nodiscard]] bool reaches(std::string_view state_wanted) const {
        return wait_until([&] { return state() == state_wanted; });
    }

    // From /proc, in KiB.
    [[nodiscard]] long resident() const {
        const std::string status =
            file::read("/proc/" + std::to_string(child.pid()) + "/status").value_or("");
        return std::stol(status.substr(status.find("VmRSS:") + 6));
    }

    Folder folder;
    Child child;

private:
    std::string further_;
    std::uint16_t port_ = 0;
};

}  // namespace qvd::vma::testing
