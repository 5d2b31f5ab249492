#include "hkd/kept_logs.hpp"

#include "base/file.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "config/keys.hpp"
#include "hkd/utc.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace qvd::hkd {

namespace {

namespace fs = std::filesystem;

// Where qvd-vma writes unless its own configuration says otherwise.
constexpr const char* agent_log = "/var/log/qvd.log";
constexpr int deepest_family = 4;

std::string tail_of_open(int fd, std::size_t most_bytes) {
    struct stat about {};
    // A pipe or a device in its place would make root wait.
    if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return {};
    const auto most = static_cast<off_t>(most_bytes);
    const off_t from = about.st_size > most ? about.st_size - most : 0;
    std::string text(static_cast<std::size_t>(about.st_size - from), '\0');
    const ssize_t got = ::pread(fd, text.data(), text.size(), from);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (from == 0) return text;
    const auto line = text.find('\n');
    return line == std::string::npos ? text : text.substr(line + 1);
}

std::vector<int> children_of(int pid) {
    std::vector<int> children;
    std::error_code ignored;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& task : fs::directory_iterator(tasks, ignored)) {
        std::ifstream list(task.path() / "children");
        for (int child = 0; list >> child;) children.push_back(child);
    }
    return children;
}

bool has_own_root(int pid) {
    struct stat its {};
    struct stat ours {};
    const std::string path = "/proc/" + std::to_string(pid) + "/root/.";
    return ::stat(path.c_str(), &its) == 0 && ::stat("/", &ours) == 0 &&
           (its.st_dev != ours.st_dev || its.st_ino != ours.st_ino);
}

// The first of the family that lives in a file system of its own; 0: none does.
// NOLINTNEXTLINE(misc-no-recursion): `depth` bounds it
int inside(int pid, int depth) {
    if (has_own_root(pid)) return pid;
    if (depth == 0) return 0;
    for (const int child : children_of(pid))
        if (const int found = inside(child, depth - 1); found != 0) return found;
    return 0;
}

}  // namespace

std::string tail_of(const std::string& path, std::size_t most_bytes) {
    const UniqueFd fd(::open(path.c_str(),  // NOLINT(*-vararg): open() is
                             O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    return fd ? tail_of_open(fd.get(), most_bytes) : std::string();
}

std::string tail_within(int pid, const std::string& path, std::size_t most_bytes) {
    const int within = pid > 0 ? inside(pid, deepest_family) : 0;
    if (within == 0) return {};
    const std::string root = "/proc/" + std::to_string(within) + "/root";
    // NOLINTNEXTLINE(*-vararg): open() and syscall() are
    const UniqueFd base(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!base) return {};
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const UniqueFd fd(static_cast<int>(
        ::syscall(SYS_openat2, base.get(), path.c_str(), &how, sizeof how)));  // NOLINT(*-vararg)
    return fd ? tail_of_open(fd.get(), most_bytes) : std::string();
}

std::string kept_logs_folder(const config::View& view) {
    return view.get(config::path_log) + "/qvd-vm";
}

std::string console_file(const std::string& runtime_path) {
    for (const char* const name : {".console.log", "/console.log"})
        if (::access((runtime_path + name).c_str(), R_OK) == 0) return runtime_path + name;
    return {};
}

Result<void> KeptLogs::keep(const VmPlan& vm, int pid) const {
    if (folder_.empty()) return {};
    const std::string own = folder_of(vm.vm);
    std::error_code ignored;
    fs::remove_all(own, ignored);
    QVD_CHECK(file::make_folders(own, 0700));
    const std::string console = console_file(vm.runtime_path);
    if (!console.empty())
        QVD_CHECK(file::write_atomic(own + "/console.log", tail_of(console, most_bytes), 0600));
    const std::string agent = tail_within(pid, agent_log, most_bytes);
    if (agent.empty()) return {};
    return file::write_atomic(own + "/agent.log", agent, 0600);
}

Result<void> KeptLogs::explain(const VmPlan& vm, const Why& why) const {
    if (folder_.empty()) return {};
    QVD_CHECK(file::make_folders(folder_of(vm.vm), 0700));
    const std::string line = utc(std::chrono::system_clock::now()) + " incarnation " +
                             std::to_string(vm.incarnation) + ", " + why.code() + ": " +
                             why.sentence() + "\n";
    return file::write_atomic(folder_of(vm.vm) + "/why", line, 0600);
}

std::optional<KeptLogs::Kept> KeptLogs::find(VmId vm) const {
    if (folder_.empty()) return std::nullopt;
    const std::string own = folder_of(vm);
    const std::string why = tail_of(own + "/why", most_bytes);
    if (why.empty()) return std::nullopt;
    return Kept{why, tail_of(own + "/console.log", most_bytes),
                tail_of(own + "/agent.log", most_bytes)};
}

std::uint64_t KeptLogs::retain(const std::set<VmId>& vms) const {
    std::uint64_t bytes = 0;
    std::error_code ignored;
    if (folder_.empty()) return 0;
    for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
        const auto id = text::to_integer(entry.path().filename().string());
        if (!id || vms.contains(VmId{*id})) continue;
        for (const auto& one : fs::directory_iterator(entry.path(), ignored))
            bytes += one.is_regular_file(ignored) ? one.file_size(ignored) : 0;
        fs::remove_all(entry.path(), ignored);
    }
    return bytes;
}

}  // namespace qvd::hkd
