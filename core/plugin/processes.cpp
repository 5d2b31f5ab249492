#include "plugin/processes.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

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

UniqueFd open_pidfd(int pid) {
    return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
}

// The secret as a file that exists nowhere: the child's standard input.
Result<UniqueFd> input_file(const Secret& input) {
    UniqueFd fd{::memfd_create("qvd-input", MFD_CLOEXEC)};
    if (!fd) return errno_error("process.input", "cannot make the input of a process");
    std::string_view rest = input.reveal();
    while (!rest.empty()) {
        const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
        if (written < 0) return errno_error("process.input", "cannot write a process's input");
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::lseek(fd.get(), 0, SEEK_SET) != 0)
        return errno_error("process.input", "cannot rewind a process's input");
    return fd;
}

class SpawnActions {
public:
    SpawnActions() {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigemptyset(&none);
        sigset_t all;
        sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~SpawnActions() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;

    posix_spawn_file_actions_t* files() { return &actions_; }
    posix_spawnattr_t* attributes() { return &attributes_; }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));  // NOLINT
    out.push_back(nullptr);
    return out;
}

Result<int> spawn(const ProcessOrder& order) {
    if (order.arguments.empty() || !order.arguments.front().starts_with('/'))
        return Error{ErrorKind::invalid, "process.program", "a program needs an absolute path"};
    QVD_TRY(const UniqueFd input, input_file(order.input));
    UniqueFd output;
    if (!order.output_path.empty() || order.close_output) {
        const char* path = order.close_output ? "/dev/null" : order.output_path.c_str();
        output.reset(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        if (!output) return errno_error("process.output", std::string("cannot open ") + path);
    }
    SpawnActions actions;
    ::posix_spawn_file_actions_adddup2(actions.files(), input.get(), 0);
    ::posix_spawn_file_actions_adddup2(actions.files(), output ? output.get() : 2, 1);
    if (output) ::posix_spawn_file_actions_adddup2(actions.files(), output.get(), 2);
    ::posix_spawn_file_actions_addclosefrom_np(actions.files(), 3);
    ::posix_spawn_file_actions_addchdir_np(actions.files(),
                                           order.directory.empty() ? "/" : order.directory.c_str());
    pid_t pid = 0;
    const int problem =
        ::posix_spawn(&pid, order.arguments.front().c_str(), actions.files(), actions.attributes(),
                      pointers(order.arguments).data(), pointers(order.environment).data());
    if (problem == 0) return pid;
    errno = problem;
    return errno_error("process.program", "cannot start " + order.arguments.front());
}

}  // namespace

Result<std::uint64_t> start_time_of(int pid) {
    QVD_TRY(const std::string stat, file::read("/proc/" + std::to_string(pid) + "/stat"));
    // The name in parentheses may hold anything; fields count from behind its last ')'.
    const std::size_t after = stat.rfind(')');
    const auto fields =
        text::split_list(std::string_view(stat).substr(std::min(stat.size(), after + 1)), ' ');
    constexpr std::size_t start_time = 22 - 3;
    const auto time = fields.size() > start_time ? text::to_integer(fields[start_time])
                                                 : std::optional<std::int64_t>{};
    // A zombie has ended; only its parent has not looked yet.
    if (!time || fields.front() == "Z")
        return Error{ErrorKind::not_found, "process.gone", "there is no such process"};
    return static_cast<std::uint64_t>(*time);
}

struct Processes::Watched {
    std::string key;     // PLUGIN/LABEL
    std::string record;  // its file
    ProcessStatus process;
    asio::posix::stream_descriptor pidfd;
    std::shared_ptr<asio::steady_timer> killer;
    Ended ended;
};

Processes::Processes(asio::any_io_executor workers, std::string folder)
    : workers_(std::move(workers)), folder_(std::move(folder)) {
}

Processes::~Processes() = default;

std::string Processes::record_path(const std::string& plugin, const std::string& label) const {
    return folder_ + "/" + plugin + "/" + label;
}

Result<ProcessStatus> Processes::start(const std::string& plugin, const ProcessOrder& order,
                                       Ended ended) {
    if (!is_label(order.label))
        return Error{ErrorKind::invalid, "process.label",
                     text::quoted(order.label) + " cannot be the label of a process"};
    {
        const std::scoped_lock lock(mutex_);
        if (watched_.contains(plugin + "/" + order.label))
            return Error{ErrorKind::conflict, "process.runs",
                         "the process " + order.label + " runs already"};
    }
    QVD_CHECK(file::make_folders(folder_ + "/" + plugin, 0700));
    QVD_TRY(const int pid, spawn(order));
    ProcessStatus process;
    process.label = order.label;
    process.pid = pid;
    UniqueFd pidfd = open_pidfd(pid);
    process.start_time = start_time_of(pid).value_or(0);
    QVD_CHECK(file::write_atomic(
        record_path(plugin, order.label),
        std::to_string(pid) + " " + std::to_string(process.start_time) + "\n", 0600));
    QVD_CHECK(watch(plugin, process, std::move(pidfd), std::move(ended)));
    return process;
}

Result<void> Processes::watch(const std::string& plugin, const ProcessStatus& process,
                              UniqueFd pidfd, Ended ended) {
    if (!pidfd) return errno_error("process.watch", "cannot watch the process " + process.label);
    auto watched = std::make_shared<Watched>(Watched{
        plugin + "/" + process.label, record_path(plugin, process.label), process,
        asio::posix::stream_descriptor(workers_, pidfd.release()), nullptr, std::move(ended)});
    {
        const std::scoped_lock lock(mutex_);
        watched_[watched->key] = watched;
    }
    watched->pidfd.async_wait(asio::posix::stream_descriptor::wait_read,
                              [this, watched](const boost::system::error_code& problem) {
                                  if (!problem) on_end(watched);
                              });
    return {};
}

void Processes::on_end(const std::shared_ptr<Watched>& watched) {
    siginfo_t how{};
    ProcessStatus& process = watched->process;
    process.state = ProcessStatus::State::gone;
    if (::waitid(P_PIDFD, static_cast<id_t>(watched->pidfd.native_handle()), &how,
                 WEXITED | WNOHANG) == 0 &&
        how.si_pid != 0) {
        process.state =
            how.si_code == CLD_EXITED ? ProcessStatus::State::exited : ProcessStatus::State::killed;
        process.exit_code = how.si_status;
    }
    ::unlink(watched->record.c_str());
    {
        const std::scoped_lock lock(mutex_);
        watched_.erase(watched->key);
    }
    if (watched->killer) watched->killer->cancel();
    if (watched->ended) watched->ended(process);
}

Result<std::vector<ProcessStatus>> Processes::list(const std::string& plugin) {
    std::vector<ProcessStatus> found;
    const std::string folder = folder_ + "/" + plugin;
    DIR* directory = ::opendir(folder.c_str());
    if (directory == nullptr) return found;
    while (const dirent* entry = ::readdir(directory)) {  // NOLINT: a stream of our own
        const std::string label = entry->d_name;
        if (!is_label(label)) continue;
        const auto content = file::read(folder + "/" + label, 256);
        if (!content.ok()) continue;
        const auto numbers = text::split_list(text::trim(*content), ' ');
        const auto pid = !numbers.empty() ? text::to_integer(numbers[0]) : std::nullopt;
        const auto time = numbers.size() > 1 ? text::to_integer(numbers[1]) : std::nullopt;
        if (!pid || !time) continue;
        ProcessStatus process;
        process.label = label;
        process.pid = static_cast<int>(*pid);
        process.start_time = static_cast<std::uint64_t>(*time);
        const auto now = start_time_of(process.pid);
        process.state = now.ok() && *now == process.start_time ? ProcessStatus::State::running
                                                               : ProcessStatus::State::gone;
        found.push_back(std::move(process));
    }
    ::closedir(directory);
    return found;
}

Result<void> Processes::adopt(const std::string& plugin, const ProcessStatus& process,
                              Ended ended) {
    {
        const std::scoped_lock lock(mutex_);
        if (watched_.contains(plugin + "/" + process.label)) return {};
    }
    UniqueFd pidfd = open_pidfd(process.pid);
    const auto time = start_time_of(process.pid);
    if (!pidfd || !time.ok() || *time != process.start_time) {
        ::unlink(record_path(plugin, process.label).c_str());
        return Error{ErrorKind::not_found, "process.gone",
                     "the process " + process.label + " has ended"};
    }
    return watch(plugin, process, std::move(pidfd), std::move(ended));
}

Result<void> Processes::signal(const std::string& plugin, const std::string& label, int number) {
    const std::scoped_lock lock(mutex_);
    const auto found = watched_.find(plugin + "/" + label);
    if (found == watched_.end() ||
        ::syscall(SYS_pidfd_send_signal, found->second->pidfd.native_handle(), number, nullptr,
                  0) != 0)
        return Error{ErrorKind::not_found, "process.gone",
                     "the process " + label + " does not run"};
    return {};
}

Result<void> Processes::stop(const std::string& plugin, const std::string& label,
                             std::chrono::milliseconds grace) {
    QVD_CHECK(signal(plugin, label, SIGTERM));
    const std::scoped_lock lock(mutex_);
    const auto found = watched_.find(plugin + "/" + label);
    if (found == watched_.end()) return {};
    auto timer = std::make_shared<asio::steady_timer>(workers_, grace);
    found->second->killer = timer;
    timer->async_wait([watched = found->second, timer](const boost::system::error_code& problem) {
        // The leader still exists (its pidfd has not fired), so the group is still its own.
        if (!problem) ::kill(-watched->process.pid, SIGKILL);
    });
    return {};
}

}  // namespace qvd::plugin
