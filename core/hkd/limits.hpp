// What configuration says about the lives of VMs, read once per change.
#pragma once

#include "base/clock.hpp"
#include "config/view.hpp"

#include <string>

namespace qvd::hkd {

enum class FailurePolicy { block, retry, ignore, debug };

// How long an agent may be silent: lost after max_count failed calls and max_time.
struct Patience {
    int max_count = 0;
    Milliseconds max_time{0};
};

// With FailurePolicy::retry.
struct Retry {
    int attempts = 5;  // failures in a row before it is given up
    Milliseconds first_pause{10'000};
    Milliseconds longest_pause{300'000};
    Milliseconds sound_after{600'000};  // running this long, it has not failed before

    // Twice as long each time.
    [[nodiscard]] Milliseconds pause_after(int failed) const;
};

struct Limits {
    int starting_max = 6;
    FailurePolicy failure = FailurePolicy::block;
    Retry retry;
    bool keep_for_debugging = false;
    int agent_port = 3030;
    int nx_port = 4100;
    Milliseconds image{1'800'000};
    Milliseconds launch{60'000};
    Milliseconds stopping_1{30'000};
    Milliseconds stopping_2{180'000};
    Milliseconds zombie_1{120'000};
    Milliseconds zombie_2{60'000};
    int poweroff_calls = 3;
    Milliseconds poweroff_delay{5'000};
    Milliseconds agent_call{3'000};
    Patience starting{40, Milliseconds{180'000}};
    Patience running{10, Milliseconds{320'000}};
    Milliseconds after_error{10'000};
    Milliseconds after_ok{120'000};
    std::string storage;  // path.storage.root
};

Limits limits_of(const config::View& view);

}  // namespace qvd::hkd
