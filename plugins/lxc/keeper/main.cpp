// qvd-lxc-keeper: keeps one container; its order comes on standard input (common/fields.hpp).
// `qvd-lxc-keeper SOCKET started` is what liblxc calls when the container's init is about to begin,
// `qvd-lxc-keeper SOCKET ended` when it is gone and before the container's cgroup goes.
#include "common/files.hpp"
#include "keeper/keeper.hpp"
#include "keeper/launch.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>

namespace {

using qvd::lxc::complain;

constexpr std::size_t order_limit = 65536;

// To the keeper, which has dealt with it when this returns 0.
int say(const std::string& request, const std::string& socket_path) {
    const qvd::lxc::UniqueFd keeper = qvd::lxc::connect_to(socket_path, SOCK_SEQPACKET);
    if (!keeper || ::send(keeper.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return 1;
    char answer[256];
    return ::recv(keeper.get(), answer, sizeof answer, 0) > 0 ? 0 : 1;
}

// In the container process's hook; liblxc puts init's pid into the environment.
int say_started(const std::string& socket_path) {
    const char* init = std::getenv("LXC_PID");
    return init == nullptr ? 1 : say(std::string("started ") + init, socket_path);
}

// A process of its own: no terminal, no foreign descriptors, orphans of the container come here.
void settle_down() {
    ::setsid();
    ::umask(077);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    // Ending the keeper would end a whole desktop; refused without the capability, and then so be
    // it.
    qvd::lxc::write_to("/proc/self/oom_score_adj", "-500");
    ::close_range(3, ~0U, 0);
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(nothing, 0);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[2]) == "started") return say_started(argv[1]);
    if (argc == 3 && std::string_view(argv[2]) == "ended") return say("ended", argv[1]);
    const qvd::lxc::Fields order =
        qvd::lxc::Fields::parse(qvd::lxc::read_all(0, order_limit).value_or(std::string()));
    for (const char* key : {"vm", "uuid", "incarnation", "container", "run", "runner", "rootfs"}) {
        if (!order.get(key).empty()) continue;
        complain(std::string("the order on standard input lacks ") + key);
        return 2;
    }
    settle_down();
    const auto program = qvd::lxc::read_link("/proc/self/exe");
    return qvd::lxc::Keeper(order, program).run();
}
