// A user: who may log in and own VMs.
#pragma once

#include "base/id.hpp"

#include <string>
#include <string_view>

namespace qvd {

struct User {
    UserId id;
    std::string login;  // normalised: trimmed, and lower case unless configured otherwise
};

// Trims, and lower-cases (ASCII) unless `model.user.login.case-sensitive`.
std::string normalise_login(std::string_view login, bool case_sensitive);

}  // namespace qvd
