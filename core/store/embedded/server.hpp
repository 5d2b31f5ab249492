// The distribution's PostgreSQL server: its programs, its user, its processes.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace qvd::store::embedded {

using Instant = std::chrono::steady_clock::time_point;

struct OsUser {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};
// Errors: database.user.
Result<OsUser> find_user(const std::string& name);

// The folder of initdb and postgres, "/usr/lib/postgresql/15/bin": of this major version, or, if it
// is empty, of the newest. Errors: database.server.
Result<std::string> find_server(const std::string& major_version);

// Runs a program as that user to its end, `input` on its standard input, what it says appended to
// `log`. Errors: database.start with its exit status.
Result<void> run(const OsUser& user, const std::vector<std::string>& command,
                 const std::string& input, int log, Instant deadline);
// Starts it in a session of its own, as nobody's child; gives its pid.
Result<pid_t> start(const OsUser& user, const std::vector<std::string>& command, int log);

// Whether there is such a process, and not only what is left of it.
[[nodiscard]] bool is_alive(pid_t pid);
// Whether that process is a living server that works in this folder, as a postmaster and its
// backends do in their data. Whoever else works there, an administrator's shell or a backup, is
// none.
[[nodiscard]] bool is_server_in(pid_t pid, const std::string& folder);
[[nodiscard]] std::vector<pid_t> servers_in(const std::string& folder);
// Sleeps 20 ms; false once the deadline has passed.
[[nodiscard]] bool wait_a_little(Instant deadline);

}  // namespace qvd::store::embedded
