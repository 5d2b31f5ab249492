// The distribution's nxproxy as a child: it draws the desktop on the user's X display, and talks NX
// with us over a socket in a folder that only this user can enter. (Upstream listens on a loopback
// port, which any other user of the machine may reach first.)
#pragma once

#include "client/wait.hpp"

#include <sys/types.h>

#include <string>
#include <vector>

namespace qvd::client {

struct DisplaySettings {
    std::string command;                 // "nxproxy" or a path
    std::string display;                 // as in DISPLAY
    std::string options;                 // more NX options, "data=0,cache=16384"
    std::vector<std::string> arguments;  // more arguments
};

class Display {
public:
    // Errors: display.nxproxy, display.folder.
    static Result<Display> start(const DisplaySettings& settings);
    Display(Display&& other) noexcept;
    Display& operator=(Display&&) = delete;
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;
    // Ends nxproxy, if it still runs, and removes the folder.
    ~Display();

    // Waits until nxproxy connects; non-blocking socket. Errors: display.nxproxy, stopped.
    Result<UniqueFd> accept(const Patience& patience);
    [[nodiscard]] pid_t pid() const { return pid_; }

    // Gives nxproxy `grace` to end by itself, then TERM and as long again, then KILL.
    void end(Milliseconds grace);
    // After end(): whether a desktop was ever shown. Errors: display.nxproxy, with its own words.
    [[nodiscard]] Result<void> verdict() const;

private:
    Display() = default;
    Result<void> listen();
    Result<void> spawn(const DisplaySettings& settings);
    bool ended_within(Milliseconds time);
    [[nodiscard]] std::string path(const char* name) const { return folder_ + "/" + name; }

    SteadyClock clock_;
    std::string folder_;
    UniqueFd listener_;
    UniqueFd process_;  // pidfd; closed once the child is reaped
    pid_t pid_ = 0;
};

}  // namespace qvd::client
