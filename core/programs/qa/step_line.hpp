// Long work, as a person sees it.
#pragma once

#include "image/steps.hpp"

#include <string>

namespace qvd::qa {

// "[#######-------------]  43 %  5/8 installing the packages": of the whole work; a step whose own
// part is not known counts as begun only.
std::string bar_of(const image::BuildStep& step);

// On a terminal a bar that is written over itself, elsewhere a line for each step. Nothing if
// `quiet`.
class StepLine {
public:
    explicit StepLine(bool quiet);
    ~StepLine();
    StepLine(const StepLine&) = delete;
    StepLine& operator=(const StepLine&) = delete;

    void show(const image::BuildStep& step);

private:
    bool quiet_;
    bool terminal_;
    bool open_ = false;  // a bar without its end of line
    int number_ = 0;
};

}  // namespace qvd::qa
