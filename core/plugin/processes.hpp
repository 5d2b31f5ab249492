// Long-lived programs that a plugin has the core start and hold (QVD_CORE_PROCESSES): in a session
// of their own, recorded on disk, so that a later core finds them and goes on watching.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
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
    Processes(boost::asio::any_io_executor workers, std::string folder);
    ~Processes();
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;

    // conflict "process.runs" | not_found "process.program" | invalid "process.label".
    Result<ProcessStatus> start(const std::string& plugin, const ProcessOrder& order, Ended ended);
    Result<std::vector<ProcessStatus>> list(const std::string& plugin);
    // not_found "process.gone" if it has ended; its record is then removed.
    Result<void> adopt(const std::string& plugin, const ProcessStatus& process, Ended ended);
    Result<void> signal(const std::string& plugin, const std::string& label, int number);
    Result<void> stop(const std::string& plugin, const std::string& label,
                      std::chrono::milliseconds grace);

private:
    struct Watched;

    [[nodiscard]] std::string record_path(const std::string& plugin,
                                          const std::string& label) const;
    Result<void> watch(const std::string& plugin, const ProcessStatus& process, UniqueFd pidfd,
                       Ended ended);
    void on_end(const std::shared_ptr<Watched>& process);

    boost::asio::any_io_executor workers_;
    std::string folder_;
    std::mutex mutex_;                                         // guards watched_
    std::map<std::string, std::shared_ptr<Watched>> watched_;  // by PLUGIN/LABEL
};

// Field 22 of /proc/PID/stat; nothing if there is no such process.
Result<std::uint64_t> start_time_of(int pid);

}  // namespace qvd::plugin
