#include "store/postgres.hpp"
#include "tests/plugin/service_farm.hpp"
#include "tests/store/cluster.hpp"

namespace qvd::plugin {

std::unique_ptr<store::Store> farm_store(asio::io_context& loop, bool as_owner) {
    return store::open_postgres(loop.get_executor(), store::test::shared_view(),
                                as_owner ? store::Role::owner : store::Role::broker)
        .value();
}

void empty_farm_store() {
    store::test::empty_shared();
}

}  // namespace qvd::plugin
