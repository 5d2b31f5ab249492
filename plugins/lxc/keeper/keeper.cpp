#include "keeper/keeper.hpp"

#include "common/cgroups.hpp"
#include "common/files.hpp"
#include "keeper/init_signals.hpp"
#include "keeper/launch.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace qvd::lxc {

namespace {

constexpr const char* keepers_cgroup = "qvd.keepers";
constexpr std::size_t clients_at_once = 32;
constexpr std::size_t request_limit = 256;
constexpr std::int64_t between_tellings_ms = 100;
constexpr std::int64_t time_to_begin_ms = 10000;  // an init has, until it hears signals

Fields refusal(std::string_view sentence) {
    Fields fields;
    fields.add("answer", "error");
    fields.add("sentence", sentence);
    return fields;
}

void send_to(int fd, const Fields& fields) {
    const std::string text = fields.text();
    static_cast<void>(::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

struct InitEnd {
    bool known = false;
    int code = 0;
    int signal = 0;  // 0: none
};

// liblxc tells an exit as waitpid() does, and a signal as waitpid() tells a stop by it.
InitEnd init_end(const Fields& report) {
    const int status = static_cast<int>(report.number("status", -1));
    if (status < 0) return {};
    if (WIFSTOPPED(status)) return {true, 0, WSTOPSIG(status)};
    if (WIFSIGNALED(status)) return {true, 0, WTERMSIG(status)};
    return {true, WEXITSTATUS(status), 0};
}

}  // namespace

Keeper::Keeper(const Fields& order, std::string program)
    : order_(order),
      program_(std::move(program)),
      container_(order.get("container")),
      console_(file(".console.sock"), file(".console.log"), order.number("console_bytes", 131072)) {
}

std::string Keeper::file(std::string_view suffix) const {
    return order_.get("run").append("/").append(order_.get("vm")).append(suffix);
}

int Keeper::run() {
    if (!block_signals() || !open_files()) return 1;
    join_cgroup(keepers_cgroup);
    set_state("starting");
    if (launch())
        while (state_ != "ended") wait_once();
    clean_up();
    announce();  // last of all: whoever hears it may start the next keeper of this VM
    return 0;
}

bool Keeper::block_signals() {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    sigset_t mine;
    sigemptyset(&mine);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&mine, number);
    ::sigprocmask(SIG_BLOCK, &mine, nullptr);
    signals_ = UniqueFd(::signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK));
    return static_cast<bool>(signals_);
}

bool Keeper::open_files() {
    listener_ = listen_at(file(".sock"), SOCK_SEQPACKET);
    if (!listener_) {
        complain("cannot listen at " + file(".sock") + ": " + std::strerror(errno));
        return false;
    }
    if (console_.open()) return true;
    complain("cannot make the console of " + container_ + ": " + std::strerror(errno));
    ::unlink(file(".sock").c_str());
    return false;
}

// It did not come to a container. False.
bool Keeper::fail(std::string sentence) {
    reason_ = "failed";
    sentence_ = std::move(sentence);
    set_state("ended");
    return false;
}

// A home is one VM's at a time: two that write to it would ruin each other's files. The lock is
// held for the other nodes, too, where they share the home.
bool Keeper::hold_home() {
    const std::string path = order_.get("home_lock");
    if (path.empty()) return true;
    home_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    const bool held = home_ && ::flock(home_.get(), LOCK_EX | LOCK_NB) == 0;
    if (!held && home_ && errno == EWOULDBLOCK)
        return fail("its home is used by VM " + read_file(path).value_or("?") +
                    ", which runs: a home is one VM's at a time");
    if (!held) return fail("cannot lock " + path + ": " + std::strerror(errno));
    const std::string mine = order_.get("vm");
    if (::ftruncate(home_.get(), 0) == 0 &&
        ::pwrite(home_.get(), mine.data(), mine.size(), 0) == static_cast<ssize_t>(mine.size()))
        return true;
    return fail("cannot write " + path + ": " + std::strerror(errno));
}

bool Keeper::launch() {
    if (!hold_home()) return false;
    Fields order = order_;
    order.add("terminal", console_.terminal());
    // For a shell. Not with a quote at both ends: liblxc takes those off.
    const std::string hook = "'" + program_ + "' '" + file(".sock") + "' ";
    order.add("started_hook", hook + "started");
    order.add("ended_hook", hook + "ended");
    Launched launched = launch_container(order);
    container_pid_ = launched.pid;
    report_ = std::move(launched.report);
    if (container_pid_ > 0) return true;
    return fail(launched.sentence);
}

void Keeper::wait_once() {
    std::vector<pollfd> polled;
    polled.push_back({signals_.get(), POLLIN, 0});
    polled.push_back({listener_.get(), POLLIN, 0});
    if (init_) polled.push_back({init_.get(), POLLIN, 0});
    for (const Client& client : clients_) polled.push_back({client.fd.get(), POLLIN, 0});
    console_.add_to(polled);
    if (::poll(polled.data(), polled.size(), patience_ms()) < 0) return;
    for (const pollfd& one : polled)
        if (one.revents != 0 && state_ != "ended") serve(one);
    if (tell_init_at_ms_ != 0 && now_ms() >= tell_init_at_ms_) tell_init();
    if (kill_harder_at_ms_ != 0 && now_ms() >= kill_harder_at_ms_) kill_harder();
}

// Until the next of what is to be done by the clock; -1: nothing is.
int Keeper::patience_ms() const {
    constexpr std::int64_t most = 60000;
    std::int64_t patience = -1;
    for (const std::int64_t at : {tell_init_at_ms_, kill_harder_at_ms_}) {
        const std::int64_t left = std::clamp<std::int64_t>(at - now_ms(), 0, most);
        if (at != 0 && (patience < 0 || left < patience)) patience = left;
    }
    return static_cast<int>(patience);
}

void Keeper::serve(const pollfd& ready) {
    if (ready.fd == signals_.get()) {
        on_signal();
    } else if (ready.fd == listener_.get()) {
        accept_client();
    } else if (ready.fd == init_.get()) {
        init_.reset();
    } else if (std::any_of(clients_.begin(), clients_.end(), [&ready](const Client& client) {
                   return client.fd.get() == ready.fd;
               })) {
        serve_client(ready.fd);
    } else {
        console_.serve(ready);
    }
}

void Keeper::accept_client() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd && peer_is_root(fd.get()) && clients_.size() < clients_at_once)
        clients_.push_back({std::move(fd), false});
}

void Keeper::serve_client(int fd) {
    const auto client = std::find_if(clients_.begin(), clients_.end(),
                                     [fd](const Client& one) { return one.fd.get() == fd; });
    char request[request_limit];
    const ssize_t n = ::recv(fd, request, sizeof request, MSG_DONTWAIT);
    if (n > 0) {
        send_to(fd, answer(std::string_view(request, static_cast<std::size_t>(n)), *client));
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        clients_.erase(client);
    }
}

Fields Keeper::answer(std::string_view request, Client& client) {
    while (!request.empty() && request.back() == '\n') request.remove_suffix(1);
    Fields fields;
    fields.add("answer", "ok");
    if (request == "state") return status();
    if (request == "watch") {
        client.watches = true;
        return status();
    }
    if (request == "stop") return halt() ? fields : refusal("the container has not begun yet");
    if (request == "kill") {
        kill();
    } else if (request.substr(0, 5) == "fail ") {
        failure_ = request.substr(5);
        kill();
    } else if (request == "usage") {
        const CgroupUsage usage = usage_of(container_);
        fields.add("cpu_seconds", std::to_string(usage.cpu_seconds));
        fields.add("memory_bytes", usage.memory_bytes);
    } else if (request == "console") {
        fields.add("socket", file(".console.sock"));
        fields.add("log", file(".console.log"));
    } else if (request.substr(0, 8) == "started ") {
        started(static_cast<pid_t>(parse_number(request.substr(8)).value_or(0)));
    } else if (request == "ended") {
        // Init is gone and the cgroup still there: the only moment to learn what the kernel did.
        killed_for_memory_ = usage_of(container_).killed_for_memory;
    } else {
        return refusal("unknown request");
    }
    return fields;
}

void Keeper::started(pid_t init) {
    if (init <= 1) return;
    init_pid_ = init;
    init_began_ms_ = now_ms();
    init_ = open_process(init);
    set_state(stop_asked_ ? "stopping" : "running");
    if (stop_asked_) tell_init();
    if (kill_asked_) signal_process(init_.get(), SIGKILL);
}

bool Keeper::halt() {
    if (!init_) return false;
    stop_asked_ = true;
    tell_init();
    set_state("stopping");
    return true;
}

// Who asks for the stop asks once: an init that has only begun is told again until it hears.
void Keeper::tell_init() {
    tell_init_at_ms_ = 0;
    if (!init_) return;
    const int number = static_cast<int>(order_.number("halt_signal", SIGPWR));
    const bool heard = hears_signal(init_pid_, number);
    signal_process(init_.get(), number);
    if (!heard && now_ms() < init_began_ms_ + time_to_begin_ms)
        tell_init_at_ms_ = now_ms() + between_tellings_ms;
}

void Keeper::kill() {
    kill_asked_ = true;
    if (init_) {
        signal_process(init_.get(), SIGKILL);
    } else {
        ::kill(container_pid_, SIGKILL);
    }
    if (kill_harder_at_ms_ == 0)
        kill_harder_at_ms_ = now_ms() + order_.number("kill_grace_ms", 3000);
}

void Keeper::kill_harder() {
    kill_cgroup(payload_cgroup(container_));
    ::kill(container_pid_, SIGKILL);
    kill_harder_at_ms_ = now_ms() + 1000;
}

void Keeper::on_signal() {
    signalfd_siginfo received{};
    while (::read(signals_.get(), &received, sizeof received) == sizeof received) {
        if (received.ssi_signo == SIGCHLD) {
            reap();
        } else if (!halt()) {  // whoever ends the keeper means its container
            kill();
        }
    }
}

// Also the container's orphans: this is their subreaper.
void Keeper::reap() {
    int wait_status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;)
        if (pid == container_pid_) container_ended(wait_status);
}

void Keeper::container_ended(int wait_status) {
    console_.drain();
    const std::string text = read_all(report_.get(), 65536).value_or(std::string());
    explain_end(Fields::parse(text), wait_status);
    // If liblxc's process was killed, the container's init died with it, and the rest is here.
    kill_cgroup(payload_cgroup(container_));
    remove_cgroup(payload_cgroup(container_));
    remove_cgroup(monitor_cgroup(container_));
    remove_cgroup(
        "lxc.pivot");  // where liblxc's process goes to die; in use by another's: it stays
    set_state("ended");
}

void Keeper::explain_end(const Fields& report, int wait_status) {
    const InitEnd end = init_end(report);
    exit_code_ = end.signal != 0 ? 128 + end.signal : end.code;
    if (!failure_.empty()) {
        reason_ = "crashed";
        sentence_ = failure_;
    } else if (kill_asked_) {
        reason_ = "killed";
    } else if (init_pid_ == 0) {
        reason_ = "failed";
        sentence_ = report.get("sentence", "the container did not begin");
    } else if (stop_asked_) {
        reason_ = "stopped";
    } else if (!end.known) {
        reason_ = "crashed";
        sentence_ =
            "the process that ran the container ended" +
            (WIFSIGNALED(wait_status) ? " by signal " + std::to_string(WTERMSIG(wait_status))
                                      : " with code " + std::to_string(WEXITSTATUS(wait_status)));
    } else if (end.signal == SIGKILL) {
        reason_ = "crashed";
        sentence_ = killed_for_memory_ > 0 ? "the kernel ended it for want of memory"
                                           : "its init was killed";
    } else if (exit_code_ == 0 || end.signal == SIGINT) {
        reason_ = "stopped";  // SIGINT: the kernel's word for a container that powered itself off
        sentence_ = "it shut itself down";
    } else {
        reason_ = "crashed";
        sentence_ = "its init ended with code " + std::to_string(exit_code_);
    }
}

void Keeper::clean_up() {
    console_.remove_socket();
    ::unlink(file(".sock").c_str());
    // The lock that liblxc makes for each name.
    const std::string locks = "/run/lxc/lock/" + order_.get("run");
    ::unlink((locks + "/." + container_).c_str());
    leave_cgroup(keepers_cgroup);
    home_ = UniqueFd();
}

void Keeper::set_state(std::string_view state) {
    state_ = state;
    since_ms_ = now_ms();
    replace_file(file(".state"), status().text());
    if (state_ != "ended") announce();
}

void Keeper::announce() {
    Fields fields = status();
    fields.add("event", "state");
    for (const Client& client : clients_)
        if (client.watches) send_to(client.fd.get(), fields);
}

Fields Keeper::status() const {
    Fields fields;
    fields.add("answer", "ok");
    fields.add("state", state_);
    fields.add("vm", order_.get("vm"));
    fields.add("uuid", order_.get("uuid"));
    fields.add("incarnation", order_.get("incarnation"));
    fields.add("container", container_);
    fields.add("pid", ::getpid());
    fields.add("init", init_pid_);
    fields.add("since", since_ms_);
    fields.add("reason", reason_);
    fields.add("exit", exit_code_);
    fields.add("sentence", sentence_);
    return fields;
}

}  // namespace qvd::lxc
