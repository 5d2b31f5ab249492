// Where the log goes, from the documented keys: log.filename and log.level, and of an old node.conf
// log4perl.appender.SYSLOG and log4perl.rootLogger.
#pragma once

#include "base/log.hpp"
#include "config/view.hpp"

namespace qvd::config {

// log4perl.rootLogger = LEVEL, APPENDER... outranks log.level, and chooses syslog if it names
// SYSLOG; without it, log4perl.appender.SYSLOG chooses syslog by being there. Errors: config.value.
Result<log::Target> log_target(const View& view, std::string_view program, std::string_view role);

}  // namespace qvd::config
