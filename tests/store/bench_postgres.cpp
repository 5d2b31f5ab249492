#include "bench.hpp"
#include "cluster.hpp"
#include "store/postgres.hpp"

namespace qvd::store::test {

Bench::Bench() {
    empty_shared();
    store_ = open_postgres(loop_.get_executor(), shared_view(), Role::owner).value();
}

Bench::~Bench() = default;

}  // namespace qvd::store::test
