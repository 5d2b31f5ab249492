// How far a build is.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace qvd::image {

struct BuildStep {
    int number = 0;  // from 1
    int of = 0;
    std::string text;            // "installing the packages"
    std::optional<int> percent;  // of this step, where it is known
};

// Told at each step's beginning, and when its percent changes.
using BuildProgress = std::function<void(const BuildStep&)>;

// The steps of one build, as what mmdebstrap says lets them be known.
class BuildSteps {
public:
    // `last`: what comes after mmdebstrap, in order; of an archive nothing.
    BuildSteps(bool is_disk, int after, BuildProgress progress);

    // A line of mmdebstrap, which is told to be verbose.
    void hear(const std::string& line);
    // A step of our own begins.
    void begin(const std::string& text);

private:
    void tell(int number, const std::string& text);
    void count_packages(const std::string& line);

    BuildProgress progress_;
    BuildStep now_;
    bool is_disk_;
    int packages_ = 0;  // that this step installs
    int seen_ = 0;      // unpacked or set up
};

}  // namespace qvd::image
