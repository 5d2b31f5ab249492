// The root process of a node: owns the listening socket, keeps the crew complete, obeys the four
// verbs. It parses nothing that comes from a network.
#pragma once

#include "config/view.hpp"
#include "supervisor/handover.hpp"
#include "supervisor/leases.hpp"
#include "supervisor/notify.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace qvd::supervisor {

struct Options {
    std::string version;
    std::vector<std::string> self;   // the command that re-executes this program, for a reload
    std::vector<std::string> check;  // the command that checks program and configuration first
    ProgramLauncher::Command role_command;
    config::View view;      // of the files; its keys() include supervisor/keys.hpp
    bool database = false;  // run an embedded one
    UniqueFd started;       // written to and closed once the node is up (for --daemon)
};

// path.run/qvd-node.pid, path.run/supervisor.sock, path.run/roles, path.run/l7r
std::string pid_file_path(const config::View& view);
std::string command_socket_path(const config::View& view);
std::string roles_file_path(const config::View& view);
std::string lifelines_path(const config::View& view);

class Supervisor {
public:
    explicit Supervisor(Options options);

    // Until the node has stopped; gives the exit status. With a handover, goes on where the earlier
    // image has left off. Errors: node.runs_already, command.*, confine.*.
    Result<int> run(std::optional<Handover> handover);

private:
    // The new program proves itself before the old one gives way to it.
    struct Check {
        pid_t pid = -1;
        UniqueFd output;
        Clock::time_point until;
    };

    Result<void> take_over(Handover handover);
    Result<void> begin();
    void loop();
    [[nodiscard]] int wait_milliseconds() const;
    void poll_once();
    void handle_signals();
    void handle_signal(int number);
    void reap();
    void handle_command();
    void obey(const std::string& request, UniqueFd client);
    void tick();
    void tell_systemd();

    void start_reload();
    void check_ended(int wait_status);
    void refuse_reload(const std::string& why);
    void reexecute();
    void stop(std::optional<Milliseconds> evacuate);
    void finish();

    void on_report(const Member& member, const net::Report& report);
    void apply_settings();
    void listen();
    [[nodiscard]] CrewSettings crew_settings() const;
    [[nodiscard]] std::string status_text() const;
    [[nodiscard]] std::string status_json() const;
    [[nodiscard]] std::string_view phase() const;

    Options options_;
    config::View view_;
    SteadyClock clock_;
    ProgramLauncher launcher_;
    Crew crew_;
    Holdings holdings_;
    ServiceNotifier systemd_;
    UniqueFd signals_;
    std::optional<Check> check_;
    std::string listen_problem_;
    Clock::time_point listen_again_ = Clock::time_point::max();
    Clock::time_point begun_;
    Clock::time_point watchdog_at_;
    std::string roles_written_;
    std::string status_told_;
    bool settings_changed_ = false;
    bool up_told_ = false;
    bool done_ = false;
};

}  // namespace qvd::supervisor
