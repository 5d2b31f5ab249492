// Starting and signalling the processes of the roles.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "net/role_link.hpp"

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace qvd::supervisor {

// The descriptor on which a role finds its control socket.
constexpr int role_control_fd = 3;

struct Launched {
    pid_t pid = -1;
    UniqueFd control;  // the supervisor's end
};

class Launcher {
public:
    Launcher() = default;
    Launcher(const Launcher&) = delete;
    Launcher& operator=(const Launcher&) = delete;
    virtual ~Launcher() = default;

    virtual Result<Launched> launch(net::Role role, const std::string& instance) = 0;
    virtual void signal(pid_t pid, int number) = 0;
};

// Runs a program per role: the first word is the file, no shell. The child has a process group, a
// nearly empty environment and no descriptors but 0, 1, 2 and the control socket. Should the kernel
// spare the supervisor when memory runs out, it does not spare the child: of that come databases
// and whole desktops.
class ProgramLauncher final : public Launcher {
public:
    using Command = std::function<std::vector<std::string>(net::Role, const std::string& instance)>;

    explicit ProgramLauncher(Command command) : command_(std::move(command)) {}

    Result<Launched> launch(net::Role role, const std::string& instance) override;
    void signal(pid_t pid, int number) override;

private:
    Command command_;
};

// Runs a program whose output goes to `output` (both streams); gives its pid. Errors: process.*.
Result<pid_t> run_program(const std::vector<std::string>& command, int output);

}  // namespace qvd::supervisor
