#include "supervisor/lifeline.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "supervisor/roles_file.hpp"
#include "supervisor/socket_address.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>

namespace qvd::supervisor {

namespace {

std::string path_of(const std::string& folder, const std::string& instance) {
    return folder + "/" + instance;
}

// Whoever listens there is the process that holds the descriptor: nobody else has it.
Result<UniqueFd> take_lifeline(const std::string& path) {
    QVD_TRY(const sockaddr_un address, unix_address(path));
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return errno_error("lifeline.socket", "cannot make a socket");
    if (::connect(socket.get(), as_sockaddr(address), sizeof address) != 0)
        return errno_error("lifeline.loose", "nobody holds on to " + path);
    return socket;
}

Result<Member> rescue(const ListedRole& listed, const std::string& folder) {
    Member member;
    member.role = net::Role::l7r;
    member.instance = listed.instance;
    member.pid = listed.pid;
    member.process = listed.open();
    if (!member.process)
        return Error{ErrorKind::not_found, "lifeline.ended", "the worker has ended"};
    QVD_TRY(member.control, take_lifeline(path_of(folder, listed.instance)));
    return member;
}

}  // namespace

Result<UniqueFd> open_lifeline(const std::string& folder, const std::string& instance) {
    QVD_CHECK(file::make_folders(folder, 0700));
    const std::string path = path_of(folder, instance);
    QVD_TRY(const sockaddr_un address, unix_address(path));
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return errno_error("lifeline.socket", "cannot make a socket");
    const mode_t before = ::umask(0177);
    const int bound = ::bind(socket.get(), as_sockaddr(address), sizeof address);
    const int number = errno;
    ::umask(before);
    errno = number;
    if (bound != 0 || ::listen(socket.get(), 4) != 0)
        return errno_error("lifeline.socket", "cannot listen at " + path);
    return socket;
}

void remove_lifeline(const std::string& folder, const std::string& instance) {
    if (!folder.empty()) ::unlink(path_of(folder, instance).c_str());
}

std::vector<Member> rescue_workers(const std::string& roles_file, const std::string& folder) {
    std::vector<Member> rescued;
    for (const ListedRole& listed : read_roles_file(roles_file)) {
        if (listed.role != net::Role::l7r) continue;
        auto member = rescue(listed, folder);
        const log::Fields who{{"instance", listed.instance}, {"pid", listed.pid}};
        if (member.ok()) {
            log::info("role.rescued", who, "a worker of the earlier qvd-node");
            rescued.push_back(std::move(*member));
        } else if (member.error().code() != "lifeline.ended") {
            log::warn("role.not_rescued", who,
                      "its sessions go on, but nobody counts them: " + member.error().sentence());
        }
    }
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        const std::string name = entry.path().filename().string();
        if (std::ranges::count(rescued, name, &Member::instance) == 0)
            remove_lifeline(folder, name);
    }
    return rescued;
}

bool has_ended(const UniqueFd& process) {
    pollfd one{process.get(), POLLIN, 0};
    return process && ::poll(&one, 1, 0) == 1;
}

}  // namespace qvd::supervisor
