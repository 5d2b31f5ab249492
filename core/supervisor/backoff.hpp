// How long to wait before a process that died is started again.
#pragma once

#include "base/clock.hpp"

#include <algorithm>

namespace qvd::supervisor {

class Backoff {
public:
    Backoff(Milliseconds shortest, Milliseconds longest) : shortest_(shortest), longest_(longest) {}

    // After a life of `age`: the shortest delay, doubled for each young death in a row.
    Milliseconds after(Milliseconds age) {
        if (age >= longest_) delay_ = Milliseconds{0};
        delay_ = delay_.count() == 0 ? shortest_ : std::min(longest_, 2 * delay_);
        return delay_;
    }

private:
    Milliseconds shortest_;
    Milliseconds longest_;
    Milliseconds delay_{0};
};

}  // namespace qvd::supervisor
