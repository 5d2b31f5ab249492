// The list of role processes in path.run: what a supervisor reads whose predecessor was killed.
#pragma once

#include "supervisor/crew.hpp"

#include <string>
#include <vector>

namespace qvd::supervisor {

// Writes pid, start time and instance of each process; a failure is logged.
void write_roles_file(const std::string& path, const std::vector<Member>& members);

// One line of it.
struct ListedRole {
    net::Role role = net::Role::l7r;
    pid_t pid = -1;
    std::string start_time;  // with the pid it names a process for good
    std::string instance;

    // A pidfd of that very process; none if it has ended.
    [[nodiscard]] UniqueFd open() const;
};
// Empty if there is no such file.
std::vector<ListedRole> read_roles_file(const std::string& path);

// Ends what the list names and still runs, except l7r workers: those keep their sessions to the
// end. Roles end by themselves when their supervisor is gone; who has not within `patience` is
// killed.
void end_leftovers(const std::string& path, Milliseconds patience);

}  // namespace qvd::supervisor
