#include "tests/fuzz/target.hpp"

#include <cstddef>
#include <cstdint>

// NOLINTBEGIN(readability-identifier-naming): libFuzzer asks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return qvd_fuzz_one({reinterpret_cast<const char*>(data), size});
}
// NOLINTEND(readability-identifier-naming)
