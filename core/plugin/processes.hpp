// Long-lived programs that a plugin has the core start and hold (QVD_CORE_PROCESSES): in a session
// of their own, recorded on disk, so that a later core finds them and goes on watching.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace qvd::plugin {

struct ProcessStatus {
    enum class State { running, exited, killed, gone };
    State state = State::running;
    std::string label;
    int pid = 0;
    int exit_code = 0;
    std::uint64_t start_time = 0;  // field 22 of /proc/PID/stat
};

struct ProcessOrder {
    std::string label;
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::string directory = "/";
    Secret input;
    std::string output_path;  // empty: to this process's standard error
    bool close_output = false;
};

// Thread-safe. `ended` callbacks come on `workers`, once per process.
class Processes {
public:
    using Ended = std::function<void(const ProcessStatus&)>;

    // Records lie in `folder`/PLUGIN/LABEL (0700, root only).
    Processes(const boost::asio::any_io_executor& workers, std::string folder);
    // Stops watching; the processes run on, and no `ended` comes any more.
    ~Processes();
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;

    // conflict "process.runs", also if an earlier core started it; not_found "process.program";
    // invalid "process.label".
    Result<ProcessStatus> start(const std::string& plugin, const ProcessOrder& order, Ended ended);
    // What runs, and what ended while nobody watched.
    Result<std::vector<ProcessStatus>> list(const std::string& plugin);
    // From now on `ended` hears of it, instead of whoever adopted it before. not_found
    // "process.gone" if it has ended; its record is then removed.
    Result<void> adopt(const std::string& plugin, const ProcessStatus& process, Ended ended);
    Result<void> signal(const std::string& plugin, const std::string& label, int number);
    // TERM, and after `grace` KILL of its process group.
    Result<void> stop(const std::string& plugin, const std::string& label,
                      std::chrono::milliseconds grace);

private:
    class Watch;

    Result<ProcessStatus> start_reserved(const std::string& key, const ProcessOrder& order,
                                         Ended ended);

    std::string folder_;
    std::shared_ptr<Watch> watch_;
};

// Whether it is still that one, and not another with its number.
bool is_running(const ProcessStatus& process);

}  // namespace qvd::plugin
