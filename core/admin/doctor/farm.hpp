// The checks of `qa doctor` that look at what the database says.
#pragma once

#include "admin/doctor/diagnosis.hpp"
#include "config/view.hpp"
#include "store/store.hpp"

#include <optional>
#include <string>
#include <vector>

namespace qvd::admin::doctor {

struct FarmFacts {
    std::vector<store::NodeRecord> nodes;
    std::vector<store::OsfRecord> osfs;
    std::vector<store::DiRecord> dis;
    std::vector<store::VmRecord> vms;
    std::vector<Operator> operators;
    std::optional<store::Certificate> certificate;
    std::vector<std::string> hypervisors;  // that properties name
    std::vector<std::string> unions;       // and what for vm.lxc.unionfs.type
};

store::Async<FarmFacts> ask_farm(store::Store& store);

// The row of the node that this machine is; null: it is not registered.
const store::NodeRecord* own_node(const FarmFacts& farm, const config::View& view);

Diagnoses check_node(const FarmFacts& farm, const config::View& view, Timestamp now);
// `uses_ssl`: l7r.use_ssl. Without it operators are not let in, either.
Diagnoses check_certificate(const FarmFacts& farm, bool uses_ssl, Timestamp now);
// The image files under `folder`, and whether every VM and OSF has an image.
Diagnoses check_images(const FarmFacts& farm, const std::string& folder);

}  // namespace qvd::admin::doctor
