#include "step_line.hpp"

#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace qvd::qa {

std::string bar_of(const image::BuildStep& step) {
    constexpr int width = 20;
    const int begun = std::max(0, step.number - 1);
    const int percent =
        std::clamp((begun * 100 + step.percent.value_or(0)) / std::max(1, step.of), 0, 100);
    const auto filled = static_cast<std::size_t>(percent * width / 100);
    const std::string shown = std::to_string(percent);
    return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "] " +
           std::string(3 - std::min<std::size_t>(3, shown.size()), ' ') + shown + " %  " +
           std::to_string(step.number) + "/" + std::to_string(step.of) + " " + step.text;
}

StepLine::StepLine(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {
}

StepLine::~StepLine() {
    if (open_) std::cerr << "\n";
}

void StepLine::show(const image::BuildStep& step) {
    if (quiet_) return;
    if (terminal_) {
        std::cerr << "\r" << bar_of(step) << "\033[K" << std::flush;
        open_ = true;
    } else if (step.number != number_) {
        std::cerr << step.number << "/" << step.of << " " << step.text << std::endl;
    }
    number_ = step.number;
}

}  // namespace qvd::qa
