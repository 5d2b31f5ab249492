// What is tried with a hypervisor backend within one life of its core; each throws a Fault.
#pragma once

#include "trial_stage.hpp"

#include <string>
#include <vector>

namespace qvd::check {

struct TrialCase {
    std::string name;
    void (*run)(TrialStage&);
    bool needs_image = true;  // prepared before
};

const std::vector<TrialCase>& trial_cases();

}  // namespace qvd::check
