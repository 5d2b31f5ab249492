#include "bench.hpp"
#include "cluster.hpp"
#include "store/postgres.hpp"

namespace qvd::store::test {

Bench::Bench() {
    const std::string wiped =
        sql(shared_view(), "qvd_owner",
            "DELETE FROM sessions; DELETE FROM vms; DELETE FROM users; DELETE FROM dis; "
            "DELETE FROM osfs; DELETE FROM nodes; DELETE FROM configs; DELETE FROM ssl_configs");
    REQUIRE(wiped == "ok");
    store_ = open_postgres(loop_.get_executor(), shared_view(), Role::owner).value();
}

Bench::~Bench() = default;

}  // namespace qvd::store::test
