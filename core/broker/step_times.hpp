// Where the time between a request and its session went, for the log.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"

namespace qvd::broker {

class StepTimes {
public:
    explicit StepTimes(const Clock& clock) : clock_(clock), last_(clock.now()) {}

    // What passed since the last one was this step: the field `name`, in microseconds.
    void done(std::string_view name) {
        const Clock::time_point now = clock_.now();
        const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - last_);
        fields_.emplace_back(name, took.count());
        last_ = now;
    }
    [[nodiscard]] const log::Fields& fields() const { return fields_; }

private:
    const Clock& clock_;
    Clock::time_point last_;
    log::Fields fields_;
};

}  // namespace qvd::broker
