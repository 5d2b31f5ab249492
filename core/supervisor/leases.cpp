#include "supervisor/leases.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>

namespace qvd::supervisor {

namespace {

// Kills those in the list of one group; true if there were any.
bool kill_listed(const std::filesystem::path& group) {
    const auto list = file::read(group / "cgroup.procs");
    if (!list.ok()) return false;
    bool any = false;
    for (const std::string& line : text::split_list(*list, '\n')) {
        const auto pid = text::to_integer(line);
        if (!pid || *pid <= 1) continue;
        any = true;
        ::kill(static_cast<pid_t>(*pid), SIGKILL);
    }
    return any;
}

// Control groups of version 1: those that were forked meanwhile are caught by the next round.
void kill_one_by_one(const std::string& cgroup) {
    constexpr int rounds = 10;
    for (int round = 0; round < rounds; ++round) {
        bool any = kill_listed(cgroup);
        std::error_code problem;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(cgroup, problem))
            if (entry.is_directory(problem)) any = kill_listed(entry.path()) || any;
        if (!any) return;
    }
}

}  // namespace

std::uint64_t boottime_ms() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000U +
           static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000U;
}

Result<void> check_cgroup(const std::string& cgroup, const std::string& root) {
    const bool good = cgroup.starts_with(root + "/") && cgroup.find("/..") == std::string::npos &&
                      cgroup.find("qvd", root.size()) != std::string::npos;
    if (good) return {};
    return Error{ErrorKind::invalid, "lease.cgroup",
                 text::quoted(cgroup) + " is no control group of a VM"};
}

Result<void> kill_cgroup(const std::string& cgroup) {
    const UniqueFd fd{::open((cgroup + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC)};
    if (fd && ::write(fd.get(), "1", 1) == 1) return {};
    std::error_code problem;
    if (!std::filesystem::is_directory(cgroup, problem))
        return Error{ErrorKind::not_found, "lease.cgroup", cgroup + " is not there"};
    kill_one_by_one(cgroup);
    return {};
}

void enforce_leases(Leases& leases, std::uint64_t now_ms) {
    for (auto at = leases.begin(); at != leases.end();) {
        if (at->second > now_ms) {
            ++at;
            continue;
        }
        log::error("vm.fenced", {{"cgroup", at->first}},
                   "its storage lock was not renewed in time; its processes are killed");
        const auto killed = kill_cgroup(at->first);
        if (!killed.ok()) log::warn("vm.fence_failed", {}, killed.error().sentence());
        at = leases.erase(at);
    }
}

}  // namespace qvd::supervisor
