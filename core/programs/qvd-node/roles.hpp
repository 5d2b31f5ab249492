// This program as one of its roles.
#pragma once

#include "options.hpp"

#include <string>
#include <vector>

namespace qvd::node {

// The command that starts a role; `self` is this program's file.
struct RoleCommand {
    std::string self;
    std::string config_file;
    log::Target log;
    std::string l7r_user;

    std::vector<std::string> operator()(net::Role role, const std::string& instance) const;
};

// Runs the role to its end; gives the exit status. Whatever keeps it from its work it reports to
// the supervisor, and waits for the next reload.
int run_role(const Options& options);

}  // namespace qvd::node
