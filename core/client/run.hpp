// The story of one run of qvdclient.
#pragma once

#include "base/secret.hpp"
#include "client/report.hpp"
#include "client/settings.hpp"

namespace qvd::client {

// The password from the command line, QVDPASSWORD, standard input (`-w -`, or where that is no
// terminal) or the person. Errors: usage.no_password, stopped.
Result<Secret> find_password(const Options& options, const Environment& environment,
                             const Settings& settings, Person& person, int stop_fd);

// Lists, or connects and shows the desktop until the session ends. Errors: see Dialogue, Display,
// examine_screen() and choose_vm().
Result<void> run(const Settings& settings, Secret password, Person& person, Report& report,
                 const StopSignal& stop);

}  // namespace qvd::client
