// The machines that the server offers, and which of them the user means.
#pragma once

#include "client/person.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qvd::client {

struct OfferedVm {
    std::int64_t id = 0;
    std::string name;
    std::string state;  // "stopped", "running", ...
    bool blocked = false;
};

// The body of list_of_vm. Errors: server.protocol.
Result<std::vector<OfferedVm>> parse_vm_list(std::string_view body);
// "  id  state  name" lines for a person.
[[nodiscard]] std::string vm_table(const std::vector<OfferedVm>& vms);

struct Choice {
    std::optional<std::int64_t> id;  // -s
    bool first = false;              // -o
};
// The wanted one, the only one, or the one the person picks. Errors: vm.none, vm.unknown,
// vm.ambiguous, stopped.
Result<OfferedVm> choose_vm(const std::vector<OfferedVm>& vms, const Choice& choice,
                            Person& person);

}  // namespace qvd::client
