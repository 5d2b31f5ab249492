// The database as `qa doctor` finds it: whether it runs, its schema, and what it says.
#pragma once

#include "admin/doctor/diagnosis.hpp"
#include "admin/doctor/farm.hpp"
#include "config/view.hpp"

#include <optional>
#include <string>

namespace qvd::admin::doctor {

struct DatabaseAnswer {
    Diagnoses diagnoses;
    std::optional<FarmFacts> farm;  // nothing where it could not be asked
    config::View::Values values;    // of the configuration
};

// Does not start an embedded one. `file`: where its keys are set. Blocking.
DatabaseAnswer look_into_database(const config::View& view, const std::string& file);

}  // namespace qvd::admin::doctor
