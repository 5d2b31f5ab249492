// Carries the session's bytes between the server and nxproxy.
#pragma once

#include "client/connection.hpp"

namespace qvd::client {

enum class RelayEnd { server_closed, server_broke, display_closed, stopped };

// Runs until one side ends or `stop_fd` becomes readable. What is on its way when a side ends still
// reaches the other. `display` is a non-blocking socket; `first_bytes` go to it before all others.
RelayEnd relay(Connection& server, int display, const std::string& first_bytes, int stop_fd);

}  // namespace qvd::client
