// How to reach the database as which role: read from the configuration once.
#pragma once

#include "base/secret.hpp"
#include "config/view.hpp"
#include "store/postgres.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace qvd::store::postgres {

struct Access {
    std::vector<std::string> hosts;  // names, addresses, or one folder of a Unix socket
    std::string port;
    std::string database;
    std::string user;
    Secret password;
    std::string program;  // application_name
    std::chrono::milliseconds timeout{5000};
    std::chrono::milliseconds connect_timeout{5000};
    std::size_t pool_size = 2;
    bool embedded = false;

    [[nodiscard]] static Access of(const config::View& view, Role role);

    // libpq's parameters for one of the hosts; `address`, if there is one, is what it resolves to.
    using Parameters = std::vector<std::pair<std::string, Secret>>;
    [[nodiscard]] Parameters parameters(const std::string& host, const std::string& address) const;
    // "the embedded database" or "db1.example.org:5432/qvd".
    [[nodiscard]] std::string where() const;
};

}  // namespace qvd::store::postgres
