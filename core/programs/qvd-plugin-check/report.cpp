#include "report.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace qvd::check {

namespace {

constexpr int first_level_code = 3;
constexpr int skipped_code = 77;

struct Words {
    std::string_view name;
    std::string_view meaning;
};
constexpr std::array words{
    Words{"file", "a shared object that exports qvd_plugin_v1 and nothing else"},
    Words{"load", "loads with all its symbols bound"},
    Words{"manifest", "name, versions, interfaces and keys are as the headers want them"},
    Words{"life", "is created and destroyed a hundred times, and leaves nothing behind"},
    Words{"core", "gets along with a core that has fewer services, and with a later one"},
    Words{"balancer", "chooses one of the nodes, whatever they look like, in time"},
    Words{"hypervisor", "runs VMs of the trial (--trial) through all that a node asks of it"},
};

}  // namespace

std::string_view name_of(Level level) {
    return words.at(static_cast<std::size_t>(level)).name;
}

std::string_view meaning_of(Level level) {
    return words.at(static_cast<std::size_t>(level)).meaning;
}

std::string_view to_string(Finding::Severity severity) {
    switch (severity) {
        case Finding::Severity::error:
            return "error";
        case Finding::Severity::warning:
            return "warning";
        case Finding::Severity::skipped:
            return "skipped";
    }
    return "error";
}

void Report::add(std::vector<Finding> more) {
    std::ranges::move(more, std::back_inserter(findings));
}

bool Report::has(Finding::Severity severity) const {
    return std::ranges::count(findings, severity, &Finding::severity) != 0;
}

int Report::exit_code() const {
    const auto error = std::ranges::find(findings, Finding::Severity::error, &Finding::severity);
    if (error != findings.end()) return first_level_code + static_cast<int>(error->level);
    return has(Finding::Severity::skipped) ? skipped_code : 0;
}

}  // namespace qvd::check
