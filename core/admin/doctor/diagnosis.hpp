// What `qa doctor` says of one precondition of a working node.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace qvd::admin::doctor {

enum class Level { good, warning, problem };

struct Diagnosis {
    Level level = Level::good;
    std::string name;      // "kernel.overlayfs"; stable
    std::string sentence;  // what is the case
    std::string advice;    // what to do; empty if all is well
};

using Diagnoses = std::vector<Diagnosis>;

inline Diagnosis good(std::string name, std::string sentence) {
    return {Level::good, std::move(name), std::move(sentence), {}};
}
inline Diagnosis warning(std::string name, std::string sentence, std::string advice) {
    return {Level::warning, std::move(name), std::move(sentence), std::move(advice)};
}
inline Diagnosis problem(std::string name, std::string sentence, std::string advice) {
    return {Level::problem, std::move(name), std::move(sentence), std::move(advice)};
}
// A check that was left out.
inline Diagnosis needs_root(std::string name, const std::string& what) {
    return warning(std::move(name), what + " was not checked: that needs root",
                   "run `qa doctor` as root");
}

bool has_problem(const Diagnoses& diagnoses);

// Runs `check` in a child process, so that a plugin or a kernel that crashes or hangs is one more
// diagnosis, called `name`. Blocks, at most 50 s.
Diagnoses in_child(const std::string& name, const std::function<Diagnoses()>& check);

}  // namespace qvd::admin::doctor
