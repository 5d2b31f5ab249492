#include "bench.hpp"
#include "cluster.hpp"
#include "store/postgres.hpp"

namespace qvd::store::test {

Bench::Bench() {
    empty_shared();
    store_ = open_postgres(loop_.get_executor(), shared_view(), Role::owner).value();
}

Bench::~Bench() = default;

void Bench::age_reports() {
    const std::string done = sql(shared_view(), "qvd_owner",
                                 "UPDATE node_runtimes SET seen = seen - interval '60 seconds'");
    REQUIRE(done == "ok");
}

}  // namespace qvd::store::test
