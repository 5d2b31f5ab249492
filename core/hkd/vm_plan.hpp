// From an order of the database to what a backend is told: paths, network, limits.
#pragma once

#include "config/view.hpp"
#include "hkd/backend.hpp"
#include "store/store.hpp"

namespace qvd::hkd {

// Errors: network.*, and internal plan.* for what the database should never hold.
Result<VmPlan> plan_start(const store::StartOrder& order, const config::View& view);
ImagePlan plan_image(const store::StartOrder& order, const config::View& view);
// The plugin that a VM of these properties is started with.
std::string hypervisor_of(const Properties& properties, const config::View& view);
// Of a VM that runs already: enough to watch it, stop it and clean up behind it.
VmPlan plan_known(const store::VmRecord& record, Properties properties, const config::View& view);
// Of a VM that the database does not know to be here: enough to destroy it.
VmPlan plan_found(const FoundVm& found, const config::View& view);

// By its name: "1-desktop.tar.gz" is a tar, "2-win.qcow2" a qcow2, "3-x" raw.
plugin::ImageFormat format_of(std::string_view file_name);

}  // namespace qvd::hkd
