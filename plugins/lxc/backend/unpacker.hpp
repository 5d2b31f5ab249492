// Running qvd-unpack, which alone touches the bytes of an archive.
#pragma once

#include "common/fields.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace qvd::lxc {

struct UnpackWatch {
    std::function<void(int percent)> progress;
    std::function<std::chrono::milliseconds()> remaining;  // 0: give up
};

// What the program said last: `result` is "ok", one of its codes, "timeout", or "killed"; with
// `sentence`, or with layout, bytes, entries, skipped.
Fields run_unpacker(const std::vector<std::string>& arguments, const UnpackWatch& watch);

}  // namespace qvd::lxc
