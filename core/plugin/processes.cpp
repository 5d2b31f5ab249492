#include "plugin/processes.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/process_facts.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "plugin/process_spawn.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace qvd::plugin {

namespace asio = boost::asio;

namespace {

bool is_label(std::string_view text) {
    return !text.empty() && text.size() <= 64 && text.front() != '.' &&
           std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                      c == '_';
           });
}

Result<void> check_label(const std::string& label) {
    if (is_label(label)) return {};
    return Error{ErrorKind::invalid, "process.label",
                 text::quoted(label) + " cannot be the label of a process"};
}

Error gone(const std::string& label) {
    return {ErrorKind::not_found, "process.gone", "the process " + label + " does not run"};
}

Error runs(const std::string& label) {
    return {ErrorKind::conflict, "process.runs", "the process " + label + " runs already"};
}

UniqueFd open_pidfd(int pid) {
    return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
}

// What an earlier core, or this one, wrote of the process; nothing if there is no such record.
std::optional<ProcessStatus> read_record(const std::string& path, const std::string& label) {
    const auto content = file::read(path, 256);
    if (!content.ok()) return std::nullopt;
    const auto numbers = text::split_list(text::trim(*content), ' ');
    const auto pid = !numbers.empty() ? text::to_integer(numbers[0]) : std::nullopt;
    const auto time = numbers.size() > 1 ? text::to_integer(numbers[1]) : std::nullopt;
    if (!pid || !time || *pid <= 0) return std::nullopt;
    ProcessStatus process;
    process.label = label;
    process.pid = static_cast<int>(*pid);
    process.start_time = static_cast<std::uint64_t>(*time);
    process.state =
        is_running(process) ? ProcessStatus::State::running : ProcessStatus::State::gone;
    return process;
}

Result<void> write_record(const std::string& path, const ProcessStatus& process) {
    QVD_CHECK(file::make_folders(std::filesystem::path(path).parent_path().string(), 0700));
    return file::write_atomic(
        path, std::to_string(process.pid) + " " + std::to_string(process.start_time) + "\n", 0600);
}

}  // namespace

bool is_running(const ProcessStatus& process) {
    const auto now = facts_of(process.pid);
    return now && !now->has_ended && now->started == process.start_time;
}

// What is watched. What waits on the pool keeps it alive, so it may outlive its Processes.
class Processes::Watch : public std::enable_shared_from_this<Processes::Watch> {
public:
    using Strand = asio::strand<asio::any_io_executor>;

    explicit Watch(const asio::any_io_executor& workers) : strand_(asio::make_strand(workers)) {}

    // Takes the label for a process that is about to start; false if it is taken.
    bool reserve(const std::string& key) {
        const std::scoped_lock lock(mutex_);
        return watched_.try_emplace(key).second;
    }
    void release(const std::string& key) {
        const std::scoped_lock lock(mutex_);
        const auto found = watched_.find(key);
        if (found != watched_.end() && !found->second) watched_.erase(found);
    }

    void add(const std::string& key, std::string record, ProcessStatus process, UniqueFd pidfd,
             Ended ended);
    // False if the label is not watched.
    bool hand_over(const std::string& key, const ProcessStatus& process, Ended& ended);
    [[nodiscard]] bool signal(const std::string& key, int number);
    bool stop(const std::string& key, std::chrono::milliseconds grace);
    void close();

private:
    struct One {
        std::string record;
        ProcessStatus process;
        asio::posix::stream_descriptor pidfd;
        asio::steady_timer killer;
        Ended ended;  // guarded by mutex_
    };

    void on_end(const std::string& key, const std::shared_ptr<One>& one);
    void kill_group(const std::string& key, const std::shared_ptr<One>& one);

    Strand strand_;  // descriptors and timers are used on it alone
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<One>> watched_;  // by PLUGIN/LABEL; null: starting
};

void Processes::Watch::add(const std::string& key, std::string record, ProcessStatus process,
                           UniqueFd pidfd, Ended ended) {
    auto one = std::make_shared<One>(One{std::move(record), std::move(process),
                                         asio::posix::stream_descriptor(strand_, pidfd.release()),
                                         asio::steady_timer(strand_), std::move(ended)});
    {
        const std::scoped_lock lock(mutex_);
        watched_[key] = one;
    }
    asio::post(strand_, [self = shared_from_this(), key, one] {
        one->pidfd.async_wait(asio::posix::stream_descriptor::wait_read,
                              [self, key, one](const boost::system::error_code& problem) {
                                  if (!problem) self->on_end(key, one);
                              });
    });
}

bool Processes::Watch::hand_over(const std::string& key, const ProcessStatus& process,
                                 Ended& ended) {
    const std::scoped_lock lock(mutex_);
    const auto found = watched_.find(key);
    if (found == watched_.end() || !found->second) return false;
    const ProcessStatus& known = found->second->process;
    if (known.pid != process.pid || known.start_time != process.start_time) return false;
    found->second->ended = std::move(ended);
    return true;
}

bool Processes::Watch::signal(const std::string& key, int number) {
    const std::scoped_lock lock(mutex_);
    const auto found = watched_.find(key);
    return found != watched_.end() && found->second &&
           ::syscall(SYS_pidfd_send_signal, found->second->pidfd.native_handle(), number, nullptr,
                     0) == 0;
}

bool Processes::Watch::stop(const std::string& key, std::chrono::milliseconds grace) {
    std::shared_ptr<One> one;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = watched_.find(key);
        if (found == watched_.end() || !found->second) return false;
        one = found->second;
    }
    asio::post(strand_, [self = shared_from_this(), key, one, grace] {
        one->killer.expires_after(grace);
        one->killer.async_wait([self, key, one](const boost::system::error_code& problem) {
            if (!problem) self->kill_group(key, one);
        });
    });
    return true;
}

void Processes::Watch::kill_group(const std::string& key, const std::shared_ptr<One>& one) {
    const std::scoped_lock lock(mutex_);
    const auto found = watched_.find(key);
    // While it is in the map nobody has reaped it: the group is still its own.
    if (found != watched_.end() && found->second == one) ::kill(-one->process.pid, SIGKILL);
}

void Processes::Watch::on_end(const std::string& key, const std::shared_ptr<One>& one) {
    Ended ended;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = watched_.find(key);
        if (found == watched_.end() || found->second != one) return;
        ended = std::move(one->ended);
        ::unlink(one->record.c_str());
        watched_.erase(found);
    }
    one->killer.cancel();
    ProcessStatus process = one->process;
    process.state = ProcessStatus::State::gone;
    siginfo_t how{};
    if (::waitid(P_PIDFD, static_cast<id_t>(one->pidfd.native_handle()), &how, WEXITED | WNOHANG) ==
            0 &&
        how.si_pid != 0) {
        process.state =
            how.si_code == CLD_EXITED ? ProcessStatus::State::exited : ProcessStatus::State::killed;
        process.exit_code = how.si_status;
    }
    one->pidfd.close();
    if (ended) ended(process);
}

void Processes::Watch::close() {
    std::map<std::string, std::shared_ptr<One>> left;
    {
        const std::scoped_lock lock(mutex_);
        left.swap(watched_);
    }
    asio::post(strand_, [left = std::move(left)] {
        for (const auto& [key, one] : left) {
            if (!one) continue;
            one->killer.cancel();
            one->pidfd.close();
        }
    });
}

Processes::Processes(const asio::any_io_executor& workers, std::string folder)
    : folder_(std::move(folder)), watch_(std::make_shared<Watch>(workers)) {
}

Processes::~Processes() {
    watch_->close();
}

Result<ProcessStatus> Processes::start(const std::string& plugin, const ProcessOrder& order,
                                       Ended ended) {
    QVD_CHECK(check_label(order.label));
    const std::string key = plugin + "/" + order.label;
    if (!watch_->reserve(key)) return runs(order.label);
    auto started = start_reserved(key, order, std::move(ended));
    if (!started.ok()) watch_->release(key);
    return started;
}

Result<ProcessStatus> Processes::start_reserved(const std::string& key, const ProcessOrder& order,
                                                Ended ended) {
    const std::string record = folder_ + "/" + key;
    const auto earlier = read_record(record, order.label);
    if (earlier && earlier->state == ProcessStatus::State::running) return runs(order.label);
    QVD_TRY(const int pid, spawn(order));
    ProcessStatus process;
    process.label = order.label;
    process.pid = pid;
    UniqueFd pidfd = open_pidfd(pid);
    const Error no_watch = errno_error("process.watch", "cannot watch the process " + order.label);
    const auto facts = facts_of(pid);
    process.start_time = facts ? facts->started : 0;
    Result<void> kept = write_record(record, process);
    if (kept.ok() && !pidfd) kept = no_watch;
    if (!kept.ok()) {
        // Better none than one that nobody finds again.
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        ::unlink(record.c_str());
        return std::move(kept).error();
    }
    watch_->add(key, record, process, std::move(pidfd), std::move(ended));
    return process;
}

Result<std::vector<ProcessStatus>> Processes::list(const std::string& plugin) {
    std::vector<ProcessStatus> found;
    const std::string folder = folder_ + "/" + plugin;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(folder, problem)) {
        const std::string label = entry.path().filename().string();
        if (!is_label(label)) continue;
        if (auto process = read_record(entry.path().string(), label))
            found.push_back(std::move(*process));
    }
    return found;
}

Result<void> Processes::adopt(const std::string& plugin, const ProcessStatus& process,
                              Ended ended) {
    QVD_CHECK(check_label(process.label));
    if (process.pid <= 0) return gone(process.label);
    const std::string key = plugin + "/" + process.label;
    const std::string record = folder_ + "/" + key;
    if (watch_->hand_over(key, process, ended)) return {};
    if (!watch_->reserve(key)) return runs(process.label);
    UniqueFd pidfd = open_pidfd(process.pid);
    if (!pidfd || !is_running(process)) {
        ::unlink(record.c_str());
        watch_->release(key);
        return gone(process.label);
    }
    // Its record may be missing where the plugin learned of it from the process itself.
    if (const auto kept = write_record(record, process); !kept.ok()) {
        watch_->release(key);
        return kept.error();
    }
    watch_->add(key, record, process, std::move(pidfd), std::move(ended));
    return {};
}

Result<void> Processes::signal(const std::string& plugin, const std::string& label, int number) {
    if (!watch_->signal(plugin + "/" + label, number)) return gone(label);
    return {};
}

Result<void> Processes::stop(const std::string& plugin, const std::string& label,
                             std::chrono::milliseconds grace) {
    QVD_CHECK(signal(plugin, label, SIGTERM));
    watch_->stop(plugin + "/" + label, grace);
    return {};
}

}  // namespace qvd::plugin
