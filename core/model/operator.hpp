// An operator: who may use a node's control protocol from afar, with a name and a password of his
// own. No user: he has no VM, and a user's login does not make him one.
#pragma once

#include "base/id.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace qvd {

using OperatorId = Id<struct OperatorIdTag>;

// Each may do what those before it may. Their names are those of the database's table `roles`.
enum class OperatorRole : std::uint8_t { observer, attendant, administrator };

// "observer", "operator", "administrator".
std::string_view to_string(OperatorRole role);
// invalid "operator.role", naming those there are.
Result<OperatorRole> parse_operator_role(std::string_view name);

struct Operator {
    OperatorId id;
    std::string name;
    OperatorRole role = OperatorRole::observer;
    bool blocked = false;  // keeps his account and is let in nowhere
};

// 1 to 64 bytes without ":", which ends a name in Basic authentication, "," , blanks and control
// characters: invalid "operator.name".
Result<void> check_operator_name(std::string_view name);

}  // namespace qvd
