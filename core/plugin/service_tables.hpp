// The constant tables of the core services; find_service() hands them out.
#pragma once

#include "plugin/core_object.hpp"
#include "plugin/record.hpp"

#include <qvd/hypervisor.h>
#include <qvd/services.h>

#include <string>

namespace qvd::plugin {

extern const qvd_log_service log_service;
extern const qvd_configuration_service configuration_service;
extern const qvd_timers_service timers_service;
extern const qvd_inventory_service inventory_service;
extern const qvd_metrics_service metrics_service;
extern const qvd_provisioning_service provisioning_service;
extern const qvd_accounts_service accounts_service;
extern const qvd_properties_service properties_service;
extern const qvd_processes_service processes_service;
extern const qvd_vm_events_service vm_events_service;

void give(const qvd_sink* sink, qvd_kind kind, const void* record);
// Tells the sink why, and gives the status of the error's kind.
qvd_status refuse(const qvd_sink* sink, const Error& error);

}  // namespace qvd::plugin
