// What the check finds, level by level.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::check {

// In the order in which they are run; each needs those before it.
enum class Level { file, load, manifest, life, core, balancer, hypervisor };
inline constexpr std::array all_levels{Level::file, Level::load,     Level::manifest,  Level::life,
                                       Level::core, Level::balancer, Level::hypervisor};

std::string_view name_of(Level level);
// What is checked, for the help and the log.
std::string_view meaning_of(Level level);

struct Finding {
    // skipped: the level, and those behind it, cannot be run here; the sentence says what it lacks.
    enum class Severity { error, warning, skipped };
    Level level = Level::file;
    Severity severity = Severity::error;
    std::string sentence;
};
std::string_view to_string(Finding::Severity severity);

struct Report {
    std::vector<Level> run;  // the levels that were run, also one that failed
    std::vector<Finding> findings;

    void add(std::vector<Finding> more);
    [[nodiscard]] bool has(Finding::Severity severity) const;
    // 0 keeps the rules; 3 to 9: the level that failed (file, load, ...); 77: skipped.
    [[nodiscard]] int exit_code() const;
};

}  // namespace qvd::check
