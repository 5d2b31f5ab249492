#include "hkd/control_access.hpp"

#include <grp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace qvd::hkd {

namespace {

std::vector<unsigned> groups_of(int socket, const ucred& peer) {
    std::vector<unsigned> groups{peer.gid};
    std::array<gid_t, 256> more{};
    socklen_t length = sizeof more;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, more.data(), &length) == 0)
        groups.insert(groups.end(), more.begin(), more.begin() + length / sizeof(gid_t));
    return groups;
}

}  // namespace

long group_id(const std::string& name) {
    const group* const found = ::getgrnam(name.c_str());  // NOLINT(concurrency-mt-unsafe): one loop
    return found == nullptr ? -1 : static_cast<long>(found->gr_gid);
}

bool may_control(unsigned user, const std::vector<unsigned>& groups, long group) {
    return user == 0 || (group >= 0 && std::ranges::any_of(groups, [group](unsigned one) {
                             return static_cast<long>(one) == group;
                         }));
}

bool is_allowed(int socket, long group) {
    ucred peer{};
    socklen_t length = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
    return may_control(peer.uid, groups_of(socket, peer), group);
}

}  // namespace qvd::hkd
