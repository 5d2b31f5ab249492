// The Store on PostgreSQL.
#pragma once

#include "config/view.hpp"
#include "store/store.hpp"

#include <boost/asio/any_io_executor.hpp>

namespace qvd::store {

// As whom a program works on the database; what each may do is granted per column.
enum class Role {
    owner,   // qa, WAT, qvd-deploy-db
    hkd,     // no password hashes, no users, no configuration
    broker,  // no configuration, no images, no state of VMs
};

// Does not connect: that happens with the first call and anew after each loss, with back-off. The
// embedded database must have been started by somebody (EmbeddedCluster). Each call takes at most
// internal.database.timeout: beyond it is ErrorKind::timeout "store.timeout", and whether a change
// was made is unknown then. A schema that this program does not know: ErrorKind::unavailable
// "store.no_schema", "store.schema_old" or "store.schema_newer". Errors: config.*.
Result<std::unique_ptr<Store>> open_postgres(boost::asio::any_io_executor executor,
                                             const config::View& view, Role role);

}  // namespace qvd::store
