#include "bench.hpp"
#include "store/memory_store.hpp"

namespace qvd::store::test {

Bench::Bench() : store_(std::make_unique<MemoryStore>(loop_.get_executor())) {
}
Bench::~Bench() = default;

}  // namespace qvd::store::test
