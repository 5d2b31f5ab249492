#include "admin/values.hpp"

#include "base/text.hpp"
#include "config/key.hpp"

#include <algorithm>

namespace qvd::admin {

Result<std::int64_t> parse_id(std::string_view what, std::string_view text) {
    const auto id = text::to_integer(text);
    if (!id || *id <= 0)
        return Error{ErrorKind::invalid, "id.syntax",
                     std::string(what) + " is not an id: " + text::quoted(text, 64)};
    return *id;
}

Result<std::string> checked_name(const std::string& what, std::string_view text,
                                 std::size_t longest) {
    const std::string name(text::trim(text));
    const auto is_control = [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; };
    if (name.empty() || name.size() > longest || name.find(',') != std::string::npos ||
        std::ranges::any_of(name, is_control))
        return Error{ErrorKind::invalid, what + ".name",
                     text::quoted(text, longest) + " cannot be the name of a " + what + ": 1 to " +
                         std::to_string(longest) +
                         " characters without commas (filters could not name it), tabs and line "
                         "ends"};
    return name;
}

Result<std::int64_t> parse_size_mib(std::string_view text) {
    std::string_view digits = text::trim(text);
    // "2GB", "2GiB"; a B behind a digit would be bytes and is refused.
    for (const char end : {'B', 'i'})
        if (digits.size() > 1 && (digits.back() == end || (end == 'B' && digits.back() == 'b')) &&
            (digits[digits.size() - 2] < '0' || digits[digits.size() - 2] > '9'))
            digits.remove_suffix(1);
    const char suffix = digits.empty() ? '\0' : digits.back();
    std::int64_t kib = 1024;
    if (suffix == 'K' || suffix == 'k') kib = 1;
    if (suffix == 'G' || suffix == 'g') kib = 1024 * 1024;
    if (suffix == 'T' || suffix == 't') kib = 1024L * 1024 * 1024;
    if (suffix != '\0' && (suffix < '0' || suffix > '9')) digits.remove_suffix(1);
    const bool known_suffix =
        std::string_view("KkMmGgTt0123456789").find(suffix) != std::string_view::npos;
    const auto number = text::to_integer(digits);
    constexpr std::int64_t most = 1'000'000;
    if (!number || !known_suffix || *number < 0 || *number > most * 1024)
        return Error{ErrorKind::invalid, "size.syntax",
                     text::quoted(text, 64) + " is not a size: give MiB, or a number with K, M, G"};
    return (*number * kib + 1023) / 1024;
}

Result<bool> parse_boolean(std::string_view text) {
    if (const auto truth = config::to_boolean(text)) return *truth;
    if (text::equals_ignoring_case(text, "y")) return true;
    if (text::equals_ignoring_case(text, "n")) return false;
    return Error{ErrorKind::invalid, "boolean.syntax",
                 text::quoted(text, 64) + " is neither yes nor no"};
}

}  // namespace qvd::admin
