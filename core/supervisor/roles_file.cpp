#include "supervisor/roles_file.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/process_facts.hpp"
#include "base/text.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace qvd::supervisor {

namespace {

// With the pid it names a process for good. Empty if there is none.
std::string start_time(pid_t pid) {
    const auto facts = facts_of(pid);
    return facts ? std::to_string(facts->started) : std::string();
}

void end_one(const ListedRole& role, Milliseconds patience) {
    const UniqueFd process = role.open();
    if (!process) return;
    pollfd gone{process.get(), POLLIN, 0};
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
    if (::poll(&gone, 1, static_cast<int>(patience.count())) == 1) return;
    log::warn("node.leftover", {{"instance", role.instance}, {"pid", role.pid}},
              "a role of the earlier qvd-node did not end by itself and is killed");
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    (void)::poll(&gone, 1, static_cast<int>(patience.count()));
}

}  // namespace

void write_roles_file(const std::string& path, const std::vector<Member>& members) {
    std::string content;
    for (const Member& member : members)
        content += std::string(net::to_string(member.role)) + " " + std::to_string(member.pid) +
                   " " + start_time(member.pid) + " " + member.instance + "\n";
    const auto written = file::write_atomic(path, content, 0600);
    if (!written.ok()) log::warn("node.roles_file", {}, written.error().sentence());
}

UniqueFd ListedRole::open() const {
    UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    // In this order: the descriptor stays with one process, the number may get another.
    if (process && supervisor::start_time(pid) != start_time) process.reset();
    return process;
}

std::vector<ListedRole> read_roles_file(const std::string& path) {
    std::vector<ListedRole> listed;
    const auto content = file::read(path);
    if (!content.ok()) return listed;
    for (const std::string& line : text::split(*content, '\n')) {
        const auto words = text::split_list(line, ' ');
        if (words.size() != 4) continue;
        const auto role = net::parse_role(words[0]);
        const auto pid = text::to_integer(words[1]);
        if (!role || !pid || *pid <= 1) continue;
        listed.push_back({*role, static_cast<pid_t>(*pid), words[2], words[3]});
    }
    return listed;
}

void end_leftovers(const std::string& path, Milliseconds patience) {
    for (const ListedRole& role : read_roles_file(path))
        if (role.role != net::Role::l7r) end_one(role, patience);
}

}  // namespace qvd::supervisor
