// What the user, or with --json the program that called, is told.
#pragma once

#include "client/relay.hpp"
#include "client/vm_list.hpp"

#include <sys/types.h>

#include <iosfwd>
#include <string>
#include <vector>

namespace qvd::client {

// JSON: one object a line on `out`, each with "event": "vms", "progress", "connected", "ended" or
// "error". Otherwise lists go to `out` and everything else to `err`.
class Report {
public:
    Report(bool json, std::ostream& out, std::ostream& err) : json_(json), out_(out), err_(err) {}

    void vms(const std::vector<OfferedVm>& vms);
    void progress(const std::string& text);
    void connected(const OfferedVm& vm, pid_t nxproxy);
    void ended(RelayEnd end);
    // Returns the exit status that belongs to it.
    int failed(const Error& error);

private:
    bool json_;
    std::ostream& out_;
    std::ostream& err_;
};

}  // namespace qvd::client
