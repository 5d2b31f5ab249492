#include "bench.hpp"
#include "store/memory_store.hpp"

namespace qvd::store::test {

Bench::Bench()
    : store_(std::make_unique<MemoryStore>(
          loop_.get_executor(), [this] { return std::chrono::system_clock::now() + ahead_; })) {
}

void Bench::age_reports() {
    ahead_ += std::chrono::seconds(60);
}

Bench::~Bench() = default;

}  // namespace qvd::store::test
