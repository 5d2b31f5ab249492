#include "model/operator.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace qvd {

namespace {

constexpr std::array<std::pair<OperatorRole, std::string_view>, 3> roles{{
    {OperatorRole::observer, "observer"},
    {OperatorRole::attendant, "operator"},
    {OperatorRole::administrator, "administrator"},
}};

bool is_refused(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7F || c == ':' || c == ',';
}

}  // namespace

std::string_view to_string(OperatorRole role) {
    for (const auto& [known, name] : roles)
        if (known == role) return name;
    return "observer";
}

Result<OperatorRole> parse_operator_role(std::string_view name) {
    for (const auto& [role, known] : roles)
        if (known == name) return role;
    return Error{
        ErrorKind::invalid, "operator.role",
        text::quoted(name, 32) + " is no role: there are administrator, operator and observer"};
}

Result<void> check_operator_name(std::string_view name) {
    constexpr std::size_t longest = 64;
    if (!name.empty() && name.size() <= longest && std::ranges::none_of(name, is_refused))
        return {};
    return Error{ErrorKind::invalid, "operator.name",
                 text::quoted(name, longest) +
                     R"( cannot name an operator: 1 to 64 characters without ":", "," and blanks)"};
}

}  // namespace qvd
