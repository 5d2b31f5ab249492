#include "supervisor/supervisor.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "net/listener.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/keys.hpp"
#include "supervisor/lifeline.hpp"
#include "supervisor/pid_file.hpp"
#include "supervisor/roles_file.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <thread>

namespace qvd::supervisor {

namespace {

// Whoever waits for the node hears of it by then, even if a role is slow to come up.
constexpr Milliseconds up_at_latest{15'000};
constexpr Milliseconds listen_retry{500};
constexpr Milliseconds leftover_patience{2'000};
constexpr std::size_t longest_status = 2048;

constexpr std::array<std::string_view, 4> settable{"l7r.address", "l7r.port", "l7r.workers",
                                                   "l7r.drain.timeout"};

Result<UniqueFd> catch_signals() {
    sigset_t caught;
    ::sigemptyset(&caught);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPIPE})
        ::sigaddset(&caught, number);
    // Blocked, not ignored: an ignored signal would be ignored by every child, too.
    ::pthread_sigmask(SIG_SETMASK, &caught, nullptr);
    UniqueFd fd{::signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (!fd) return errno_error("node.signals", "cannot catch signals");
    return fd;
}

}  // namespace

std::string pid_file_path(const config::View& view) {
    return view.get(config::path_run) + "/qvd-node.pid";
}
std::string command_socket_path(const config::View& view) {
    return view.get(config::path_run) + "/supervisor.sock";
}
std::string roles_file_path(const config::View& view) {
    return view.get(config::path_run) + "/roles";
}
std::string lifelines_path(const config::View& view) {
    return view.get(config::path_run) + "/l7r";
}

Supervisor::Supervisor(Options options)
    : options_(std::move(options)),
      view_(options_.view),
      launcher_(options_.role_command),
      crew_(clock_, launcher_, crew_settings()) {
    crew_.on_report(
        [this](const Member& member, const net::Report& report) { on_report(member, report); });
}

CrewSettings Supervisor::crew_settings() const {
    CrewSettings settings;
    settings.workers = static_cast<unsigned>(view_.get(l7r_workers));
    if (settings.workers == 0) settings.workers = std::max(1U, std::thread::hardware_concurrency());
    settings.database = options_.database;
    settings.worker_drain = view_.get(l7r_drain_timeout);
    settings.restart_min = view_.get(restart_delay_min);
    settings.restart_max = view_.get(restart_delay_max);
    settings.start_timeout = view_.get(start_timeout);
    settings.overdue_timeout = view_.get(overdue_timeout);
    settings.lifelines = lifelines_path(view_);
    return settings;
}

Result<int> Supervisor::run(std::optional<Handover> handover) {
    QVD_TRY(signals_, catch_signals());
    // Keepers and the database's server outlive those who started them; they become our children.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    begun_ = watchdog_at_ = clock_.now();
    if (handover)
        QVD_CHECK(take_over(*std::move(handover)));
    else
        QVD_CHECK(begin());
    listen();
    loop();
    finish();
    return 0;
}

Result<void> Supervisor::begin() {
    QVD_CHECK(file::make_folders(view_.get(config::path_run)));
    QVD_TRY(holdings_.pid_file, lock_pid_file(pid_file_path(view_)));
    end_leftovers(roles_file_path(view_), leftover_patience);
    for (Member& worker : rescue_workers(roles_file_path(view_), lifelines_path(view_)))
        crew_.rescue(std::move(worker));
    QVD_TRY(holdings_.command_socket, open_command_socket(command_socket_path(view_)));
    log::info("node.started", {{"version", options_.version}}, {});
    return {};
}

Result<void> Supervisor::take_over(Handover handover) {
    holdings_ = std::move(handover.holdings);
    if (!holdings_.pid_file)
        return Error{ErrorKind::internal, "handover.malformed", "the pid file was not handed over"};
    // First the socket, then the members: those who are there have it already.
    if (holdings_.listener) crew_.listen_on(holdings_.listener.get(), holdings_.listen_address);
    for (Member& member : handover.members) crew_.adopt(std::move(member));
    crew_.set_generation(holdings_.generation);
    crew_.replace_all();
    holdings_.generation = crew_.generation();
    if (!holdings_.command_socket) {
        QVD_TRY(holdings_.command_socket, open_command_socket(command_socket_path(view_)));
    }
    settings_changed_ = !holdings_.settings.empty();
    log::info("node.reloaded", {{"version", options_.version}}, {});
    for (const UniqueFd& client : holdings_.waiting) answer(client, true, "reloaded\n");
    holdings_.waiting.clear();
    return {};
}

void Supervisor::loop() {
    reap();  // who ended while this program re-executed itself
    while (!done_) {
        tick();
        if (!done_) poll_once();
    }
}

int Supervisor::wait_milliseconds() const {
    auto next =
        std::min({crew_.next_deadline(), listen_again_, clock_.now() + Milliseconds{60'000}});
    if (systemd_.watchdog()) next = std::min(next, watchdog_at_);
    if (check_) next = std::min(next, check_->until);
    if (!up_told_) next = std::min(next, begun_ + up_at_latest);
    auto wait = std::chrono::duration_cast<Milliseconds>(next - clock_.now()).count() + 1;
    const std::uint64_t now = boottime_ms();
    for (const auto& [cgroup, until] : holdings_.leases)
        wait = std::min<long>(wait, until > now ? static_cast<long>(until - now) : 0);
    return static_cast<int>(std::max<long>(0, wait));
}

void Supervisor::poll_once() {
    std::vector<pollfd> watched{{signals_.get(), POLLIN, 0},
                                {holdings_.command_socket.get(), POLLIN, 0}};
    for (const Member& member : crew_.members()) {
        if (member.control) watched.push_back({member.control.get(), POLLIN, 0});
        if (member.process) watched.push_back({member.process.get(), POLLIN, 0});
    }
    if (::poll(watched.data(), watched.size(), wait_milliseconds()) <= 0) return;
    if (watched[1].revents != 0) handle_command();
    if (watched[0].revents != 0) handle_signals();
}

void Supervisor::handle_signals() {
    signalfd_siginfo caught{};
    while (::read(signals_.get(), &caught, sizeof caught) == sizeof caught)
        handle_signal(static_cast<int>(caught.ssi_signo));
}

void Supervisor::handle_signal(int number) {
    if (number == SIGCHLD) return reap();
    if (number == SIGHUP) return start_reload();
    if (number != SIGTERM && number != SIGINT) return;
    // Asked twice: no patience any more.
    if (crew_.stopping()) return crew_.stop(Milliseconds{1}, std::nullopt);
    stop(std::nullopt);
}

void Supervisor::reap() {
    int wait_status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
        if (crew_.child_ended(pid, wait_status)) continue;
        if (check_ && check_->pid == pid) check_ended(wait_status);
        // Others are orphans that were left to us; nobody asks for their end here.
    }
}

void Supervisor::tick() {
    if (settings_changed_) apply_settings();
    if (clock_.now() >= listen_again_) listen();
    if (check_ && clock_.now() >= check_->until) {
        launcher_.signal(check_->pid, SIGKILL);
        check_->until = Clock::time_point::max();
    }
    enforce_leases(holdings_.leases, boottime_ms());
    crew_.reconcile();
    tell_systemd();
    std::string members;
    for (const Member& member : crew_.members()) members += member.instance + " ";
    if (members != roles_written_) {
        write_roles_file(roles_file_path(view_), crew_.members());
        roles_written_ = std::move(members);
    }
    done_ = crew_.gone();
}

void Supervisor::tell_systemd() {
    const auto now = clock_.now();
    if (systemd_.watchdog() && now >= watchdog_at_) {
        systemd_.send("WATCHDOG=1");
        watchdog_at_ = now + *systemd_.watchdog();
    }
    if (!up_told_ && (crew_.complete() || now >= begun_ + up_at_latest)) {
        up_told_ = true;
        systemd_.send("READY=1");
        if (options_.started) {
            // Who waits for it may be gone.
            [[maybe_unused]] const ssize_t ignored = ::write(options_.started.get(), "1", 1);
        }
        options_.started.reset();
    }
    std::string status = "STATUS=" + std::string(phase());
    for (const Member& member : crew_.members())
        if (!member.status.empty())
            status += "; " + std::string(net::to_string(member.role)) + ": " + member.status;
    // One line, whatever the roles say; systemd cuts what is longer anyway.
    if (status.size() > longest_status) status.resize(longest_status);
    if (status == status_told_) return;
    systemd_.send(status);
    status_told_ = std::move(status);
}

void Supervisor::stop(std::optional<Milliseconds> evacuate) {
    log::info("node.stopping", {{"vms", evacuate ? "stopped too" : "run on"}}, {});
    systemd_.send("STOPPING=1");
    listen_again_ = Clock::time_point::max();
    holdings_.listener.reset();
    crew_.stop(view_.get(node_stop_timeout), evacuate);
}

void Supervisor::finish() {
    ::unlink(command_socket_path(view_).c_str());
    ::unlink(roles_file_path(view_).c_str());
    ::unlink(pid_file_path(view_).c_str());
    ::rmdir(lifelines_path(view_).c_str());
    log::info("node.stopped", {}, {});
    for (const UniqueFd& client : holdings_.waiting) answer(client, true, "stopped\n");
}

void Supervisor::on_report(const Member& member, const net::Report& report) {
    if (const auto* setting = std::get_if<net::report::Setting>(&report)) {
        if (member.role != net::Role::broker || std::ranges::count(settable, setting->key) == 0)
            return;
        if (setting->value)
            holdings_.settings[setting->key] = *setting->value;
        else
            holdings_.settings.erase(setting->key);
        settings_changed_ = true;
    } else if (const auto* lease = std::get_if<net::report::Lease>(&report)) {
        const auto checked = check_cgroup(lease->cgroup);
        if (member.role != net::Role::hkd || !checked.ok()) return;
        if (lease->boottime_ms == 0)
            holdings_.leases.erase(lease->cgroup);
        else
            holdings_.leases[lease->cgroup] = lease->boottime_ms;
    }
}

void Supervisor::apply_settings() {
    settings_changed_ = false;
    view_ = options_.view.with_database({holdings_.settings.begin(), holdings_.settings.end()});
    for (const config::Finding& finding : view_.findings())
        if (finding.where == "the database")
            log::warn("config.warning", {{"key", finding.key}}, finding.text());
    crew_.change(crew_settings());
    if (!crew_.stopping()) listen();
}

// A socket that fails to open leaves the one before it in place.
void Supervisor::listen() {
    const std::string given = view_.get(l7r_address);
    const std::string address = given.empty() ? "*" : given;
    const auto port = static_cast<std::uint16_t>(view_.get(l7r_port));
    const std::string wanted = address + ":" + std::to_string(port);
    listen_again_ = Clock::time_point::max();
    if (holdings_.listener && wanted == holdings_.listen_address) return;
    auto opened = net::listen_on(address, port);
    if (!opened.ok()) {
        const std::string why = opened.error().sentence() + " (l7r.address, l7r.port)";
        if (listen_problem_ != why) log::error("node.listen_failed", {{"address", wanted}}, why);
        listen_problem_ = why;
        listen_again_ = clock_.now() + listen_retry;
        return;
    }
    listen_problem_.clear();
    log::info("node.listening", {{"address", wanted}}, {});
    crew_.listen_on(opened->get(), wanted);
    holdings_.listener = std::move(opened).value();
    holdings_.listen_address = wanted;
}

}  // namespace qvd::supervisor
