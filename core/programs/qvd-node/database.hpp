// The embedded database as a role.
#pragma once

#include "config/view.hpp"
#include "net/role_link.hpp"

namespace qvd::node {

// Does this node run its own database?
bool has_embedded_database(const config::View& view);

// Keeps the server running and its schema up to date; gives the exit status.
int run_database(net::RoleLink link, const config::View& view);

}  // namespace qvd::node
