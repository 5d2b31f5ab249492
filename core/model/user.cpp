#include "model/user.hpp"

#include "base/text.hpp"

namespace qvd {

std::string normalise_login(std::string_view login, bool case_sensitive) {
    const std::string_view trimmed = text::trim(login);
    return case_sensitive ? std::string(trimmed) : text::lower(trimmed);
}

}  // namespace qvd
