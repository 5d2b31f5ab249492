#include "image/steps.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace qvd::image {
namespace {

struct Sign {
    std::string_view begin;  // of the line
    const char* text;
};
// In their order; each is a step.
constexpr std::array signs{
    Sign{"I: running apt-get update", "reading the lists of packages"},
    Sign{"I: downloading packages", "fetching the essential packages"},
    Sign{"I: extracting archives", "unpacking the essential packages"},
    Sign{"I: installing essential packages", "installing the essential packages"},
    Sign{"I: installing remaining packages", "installing the packages"},
    Sign{"I: running --customize-hook", "completing the image"},
    // Of an archive only.
    Sign{"I: creating tarball", "packing the image"},
};
constexpr int of_a_disk = static_cast<int>(signs.size()) - 1;

}  // namespace

BuildSteps::BuildSteps(bool is_disk, int after, BuildProgress progress)
    : progress_(std::move(progress)), is_disk_(is_disk) {
    now_.of = (is_disk ? of_a_disk : static_cast<int>(signs.size())) + after;
}

void BuildSteps::hear(const std::string& line) {
    for (std::size_t i = 0; i < signs.size(); ++i) {
        const int number = static_cast<int>(i) + 1;
        // A recipe's own commands may say anything: there is no way back.
        if (number <= now_.number || !line.starts_with(signs.at(i).begin)) continue;
        if (is_disk_ && number > of_a_disk) return;
        return tell(number, signs.at(i).text);
    }
    count_packages(line);
}

void BuildSteps::begin(const std::string& text) {
    tell(now_.number + 1, text);
}

void BuildSteps::tell(int number, const std::string& text) {
    now_.number = number;
    now_.text = text;
    now_.percent.reset();
    packages_ = 0;
    seen_ = 0;
    if (progress_) progress_(now_);
}

// "0 upgraded, 69 newly installed, ..." comes first; then each package twice.
void BuildSteps::count_packages(const std::string& line) {
    constexpr std::string_view newly = " newly installed";
    if (const std::size_t at = line.find(newly); at != std::string::npos) {
        const std::size_t begin = line.rfind(' ', at - 1) + 1;
        const auto number = text::to_integer(std::string_view(line).substr(begin, at - begin));
        packages_ = number ? static_cast<int>(*number) : 0;
        return;
    }
    if (packages_ == 0 || !(line.starts_with("Unpacking ") || line.starts_with("Setting up ")))
        return;
    ++seen_;
    const int percent = std::min(100, seen_ * 100 / (2 * packages_));
    if (now_.percent == percent) return;
    now_.percent = percent;
    if (progress_) progress_(now_);
}

}  // namespace qvd::image
