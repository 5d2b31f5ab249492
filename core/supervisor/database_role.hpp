// The role that keeps the embedded database running.
#pragma once

#include "base/result.hpp"
#include "net/role_link.hpp"

namespace qvd::supervisor {

// The one database server of a node without database.host.
class DatabaseServer {
public:
    DatabaseServer() = default;
    DatabaseServer(const DatabaseServer&) = delete;
    DatabaseServer& operator=(const DatabaseServer&) = delete;
    virtual ~DatabaseServer() = default;

    // Starts the server unless it runs, and makes it first if need be. May take its time: the first
    // start makes the whole cluster.
    virtual Result<void> ensure_running() = 0;
    // Shuts the server down in order.
    virtual Result<void> stop() = 0;
    // Is it there? Cheap: asked every second.
    [[nodiscard]] virtual bool running() = 0;
};

// Returns the exit status. On Drain, or when the supervisor is gone, the server runs on; on Stop it
// is stopped.
int run_database(net::RoleLink link, DatabaseServer& server);

}  // namespace qvd::supervisor
