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

namespace {

bool is_digit(char letter) {
    return letter >= '0' && letter <= '9';
}

// "2GB" and "2GiB" are 2G; a B behind a digit would be bytes and stays.
std::string_view without_unit(std::string_view text) {
    for (const std::string_view end : {"Bb", "i"})
        if (text.size() > 1 && end.find(text.back()) != std::string_view::npos &&
            !is_digit(text[text.size() - 2]))
            text.remove_suffix(1);
    return text;
}

// How many KiB the number counts; 0: there is no such suffix.
std::int64_t kib_of(char suffix) {
    switch (suffix) {
        case 'K':
        case 'k':
            return 1;
        case 'M':
        case 'm':
            return 1024;
        case 'G':
        case 'g':
            return std::int64_t{1024} * 1024;
        case 'T':
        case 't':
            return std::int64_t{1024} * 1024 * 1024;
        default:
            return is_digit(suffix) ? 1024 : 0;
    }
}

}  // namespace

Result<std::int64_t> parse_size_mib(std::string_view text) {
    std::string_view digits = without_unit(text::trim(text));
    const std::int64_t kib = digits.empty() ? 0 : kib_of(digits.back());
    if (!digits.empty() && !is_digit(digits.back())) digits.remove_suffix(1);
    const auto number = text::to_integer(digits);
    constexpr std::int64_t most = 1'000'000;
    if (!number || kib == 0 || *number < 0 || *number > most * 1024)
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
