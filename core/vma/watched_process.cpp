#include "vma/watched_process.hpp"

#include "base/file.hpp"
#include "base/text.hpp"

#include <poll.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>

namespace qvd::vma {

Result<void> WatchedProcess::watch(pid_t pid, std::uint64_t started,
                                   std::function<void()> on_gone) {
    forget();
    // By number: the wrapper would tie the program to the newest libc.
    UniqueFd fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!fd) return errno_error("vma.process", "cannot watch process " + std::to_string(pid));
    // Only now, with the descriptor at hand, is it sure that these facts are this process's.
    const auto facts = facts_of(pid);
    if (!facts || (started != 0 && facts->started != started))
        return Error{ErrorKind::not_found, "vma.process",
                     "process " + std::to_string(pid) + " is gone"};
    fd_ = std::move(fd);
    pid_ = pid;
    started_ = facts->started;
    watch_ = loop_.watch(fd_.get(), POLLIN, [this, on_gone = std::move(on_gone)](short) {
        const auto call = on_gone;
        forget();
        call();
    });
    return {};
}

void WatchedProcess::forget() {
    loop_.remove(std::exchange(watch_, 0));
    fd_.reset();
    pid_ = 0;
    started_ = 0;
}

void WatchedProcess::send(int signal) const {
    if (fd_) ::syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0);
}

void WatchedProcess::send_group(int signal) const {
    if (fd_) ::kill(-pid_, signal);
}

bool lists_listener(std::string_view table, std::uint16_t port, uid_t uid) {
    // "sl local_address rem_address st tx:rx tr:when retrnsmt uid ...": address:port in
    // hexadecimal.
    for (const std::string& line : text::split(table, '\n')) {
        const auto fields = text::split_list(line, ' ');
        if (fields.size() < 8 || fields[3] != "0A") continue;
        const std::size_t colon = fields[1].rfind(':');
        unsigned number = 0;
        if (colon == std::string::npos) continue;
        std::from_chars(fields[1].data() + colon + 1, fields[1].data() + fields[1].size(), number,
                        16);
        if (number == port && text::to_integer(fields[7]) == std::int64_t{uid}) return true;
    }
    return false;
}

bool is_listening(std::uint16_t port, uid_t uid) {
    constexpr std::array paths{"/proc/net/tcp", "/proc/net/tcp6"};
    return std::ranges::any_of(paths, [&](const char* path) {
        const Result<std::string> table = file::read(path, std::size_t{16} << 20U);
        return table.ok() && lists_listener(*table, port, uid);
    });
}

}  // namespace qvd::vma
