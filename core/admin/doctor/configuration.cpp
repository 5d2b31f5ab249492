#include "admin/doctor/checks.hpp"
#include "base/text.hpp"

namespace qvd::admin::doctor {

Diagnoses check_configuration(const config::View& view, const std::string& file) {
    Diagnoses diagnoses;
    for (const config::Finding& finding : view.findings()) {
        const bool error = finding.severity == config::Finding::Severity::error;
        diagnoses.push_back({error ? Level::problem : Level::warning, "configuration.value",
                             finding.text(),
                             error ? "correct it; a node does not start with it"
                                   : "correct or remove it; as it is it has no effect"});
    }
    for (const std::string& key : view.missing())
        diagnoses.push_back(problem("configuration.missing", "the key " + key + " has no value",
                                    "write it into " + file + " or `qa config set " + key +
                                        "=...`; until then no VM can run"));
    if (diagnoses.empty()) diagnoses.push_back(good("configuration", file + " is valid"));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
