// Instants as agents and files read them.
#pragma once

#include "model/vm.hpp"

#include <array>
#include <ctime>
#include <string>

namespace qvd::hkd {

// "2026-11-22T04:13:49Z"
inline std::string utc(Timestamp time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%FT%TZ", &parts);
    return {text.data(), length};
}

}  // namespace qvd::hkd
