// Small files and sockets, as keeper and backend need them.
#pragma once

#include "common/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qvd::lxc {

// What is in a small file (up to 1 MiB); nothing if it cannot be read.
std::optional<std::string> read_file(const std::string& path);
std::optional<std::string> read_all(int fd, std::size_t limit);

// Where a symbolic link points; empty if it is none.
std::string read_link(const std::string& path);

// Replaces the file at once; it never has another mode. False with errno on failure.
bool replace_file(const std::string& path, std::string_view content, unsigned mode = 0600);
// Overwrites what is there, such as a file of a cgroup. False with errno on failure.
bool write_to(const std::string& path, std::string_view content);

// A listening unix socket (SOCK_SEQPACKET or SOCK_STREAM), mode 0600; a stale one is replaced, one
// that somebody answers at is not (EADDRINUSE).
UniqueFd listen_at(const std::string& path, int type);
// Connected, or empty with errno.
UniqueFd connect_to(const std::string& path, int type);
// Whether the process at the other end of a unix socket is root's.
bool peer_is_root(int fd);

std::int64_t now_ms();  // since 1970, UTC

}  // namespace qvd::lxc
