#include "keeper/init_signals.hpp"

#include "common/files.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

namespace qvd::lxc {

UniqueFd open_process(pid_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool signal_process(int pidfd, int number) {
    return ::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0;
}

bool hears_signal(pid_t pid, int number) {
    if (number == SIGKILL || number == SIGSTOP) return true;
    constexpr int base = 16;
    std::istringstream words(
        read_file("/proc/" + std::to_string(pid) + "/status").value_or(std::string()));
    std::uint64_t heard = 0;
    for (std::string word; words >> word;)
        if (word == "SigBlk:" || word == "SigCgt:") {
            words >> word;
            heard |= std::strtoull(word.c_str(), nullptr, base);
        }
    return (heard >> (number - 1) & 1U) != 0;
}

}  // namespace qvd::lxc
