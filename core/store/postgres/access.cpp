#include "store/postgres/access.hpp"

#include "base/text.hpp"
#include "config/keys.hpp"
#include "store/keys.hpp"

#include <algorithm>

namespace qvd::store::postgres {

namespace {

std::string_view role_name(Role role) {
    switch (role) {
        case Role::owner:
            return "owner";
        case Role::hkd:
            return "hkd";
        case Role::broker:
            return "broker";
    }
    return "owner";
}

// A farm's account of the role; hkd and broker have the owner's unless told otherwise.
void take_account(Access& access, const config::View& view, Role role) {
    access.user = view.get(config::database_user);
    access.password = view.find(config::database_password).value_or(Secret{});
    const auto own = [&](const auto& user, const auto& password) {
        if (const auto name = view.find(user); name && !name->empty()) {
            access.user = *name;
            access.password = view.find(password).value_or(Secret{});
        }
    };
    if (role == Role::hkd) own(config::database_hkd_user, config::database_hkd_password);
    if (role == Role::broker) own(config::database_broker_user, config::database_broker_password);
}

}  // namespace

Access Access::of(const config::View& view, Role role) {
    Access access;
    access.database = view.get(config::database_name);
    access.program = "qvd-" + std::string(role_name(role));
    access.timeout = view.get(database_timeout);
    access.pool_size = static_cast<std::size_t>(view.get(database_pool_size));
    access.connect_timeout = std::min<std::chrono::milliseconds>(
        access.timeout, view.get(config::database_connect_timeout));
    access.hosts = view.find(config::database_host).value_or(config::List{});
    access.embedded = access.hosts.empty();
    if (access.embedded) {
        access.hosts = {view.get(config::path_run) + "/database"};
        access.port = "5432";
        access.user = "qvd_" + std::string(role_name(role));
    } else {
        access.port = std::to_string(view.get(config::database_port));
        take_account(access, view, role);
    }
    return access;
}

Access::Parameters Access::parameters(const std::string& host, const std::string& address) const {
    // The server gives up a little earlier than we do, so that its answer says what happened.
    const auto patience = std::to_string(timeout.count() * 9 / 10);
    Parameters all{{"host", Secret(host)},
                   {"port", Secret(port)},
                   {"dbname", Secret(database)},
                   {"user", Secret(user)},
                   {"application_name", Secret(program)},
                   {"client_encoding", Secret("UTF8")},
                   {"target_session_attrs", Secret("read-write")},
                   {"keepalives_idle", Secret("10")},
                   {"keepalives_interval", Secret("5")},
                   {"keepalives_count", Secret("3")},
                   {"tcp_user_timeout", Secret("15000")},
                   {"options", Secret("-c search_path=qvd -c timezone=UTC -c datestyle=ISO"
                                      " -c default_transaction_isolation=read\\ committed"
                                      " -c idle_in_transaction_session_timeout=10s"
                                      " -c statement_timeout=" +
                                      patience)}};
    if (!address.empty()) all.emplace_back("hostaddr", Secret(address));
    // libpq must not take one out of somebody's ~/.pgpass.
    all.emplace_back("passfile", Secret("/nonexistent"));
    if (!password.empty()) all.emplace_back("password", password);
    return all;
}

std::string Access::where() const {
    if (embedded) return "the embedded database";
    return text::join(hosts, ",") + ":" + port + "/" + database;
}

}  // namespace qvd::store::postgres
