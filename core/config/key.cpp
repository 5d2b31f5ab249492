#include "config/key.hpp"

#include "base/text.hpp"
#include "config/nearest_key.hpp"

#include <algorithm>
#include <array>
#include <clocale>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace qvd::config {

namespace {

struct Suffix {
    std::string_view name;
    std::int64_t factor;
};

constexpr std::array time_suffixes{
    Suffix{"ms", 1},     Suffix{"s", 1'000},     Suffix{"min", 60'000},
    Suffix{"m", 60'000}, Suffix{"h", 3'600'000}, Suffix{"d", 86'400'000},
};
constexpr std::array size_suffixes{
    Suffix{"KiB", 1LL << 10}, Suffix{"MiB", 1LL << 20}, Suffix{"GiB", 1LL << 30},
    Suffix{"TiB", 1LL << 40}, Suffix{"K", 1LL << 10},   Suffix{"M", 1LL << 20},
    Suffix{"G", 1LL << 30},   Suffix{"T", 1LL << 40},   Suffix{"B", 1},
};

// "30 s" with a table of suffixes; without one, `bare` is the factor.
template <class Table>
std::optional<std::int64_t> scaled(std::string_view text, const Table& suffixes,
                                   std::int64_t bare) {
    std::int64_t factor = bare;
    for (const Suffix& suffix : suffixes) {
        if (!text.ends_with(suffix.name)) continue;
        factor = suffix.factor;
        text.remove_suffix(suffix.name.size());
        break;
    }
    const auto number = text::to_integer(text::trim(text));
    std::int64_t product = 0;
    if (!number || __builtin_mul_overflow(*number, factor, &product)) return std::nullopt;
    return product;
}

bool is_number(Kind kind) {
    return kind == Kind::integer || kind == Kind::seconds || kind == Kind::milliseconds ||
           kind == Kind::bytes || kind == Kind::mebibytes;
}

// How many of to_number()'s base are one of the declared unit, in which the range is given.
std::int64_t unit_size(Kind kind) {
    return kind == Kind::seconds ? 1'000 : 1;
}

std::string what_is_wanted(const Declaration& declaration) {
    switch (declaration.kind) {
        case Kind::boolean:
            return "1 or 0 (also yes, no, true, false, on, off)";
        case Kind::integer:
            return "a whole number";
        case Kind::number:
            return "a number";
        case Kind::seconds:
            return "a time in seconds (or with ms, s, min, h, d)";
        case Kind::milliseconds:
            return "a time in milliseconds (or with ms, s, min, h, d)";
        case Kind::bytes:
            return "a size in bytes (or with KiB, MiB, GiB, TiB)";
        case Kind::mebibytes:
            return "a size in MiB (or with KiB, MiB, GiB, TiB)";
        case Kind::word:
            return "one of " + text::join(text::split(declaration.unit, '|'), ", ");
        case Kind::path:
            return "a path that begins with /";
        case Kind::text:
            if (declaration.form != nullptr) return std::string(declaration.form->wanted);
            break;
        case Kind::list:
            if (declaration.form != nullptr)
                return "a list, separated by commas, each " + std::string(declaration.form->wanted);
            break;
    }
    return "a text";
}

Error bad_value(const Declaration& declaration, std::string_view value, std::string_view wanted) {
    const std::string shown =
        declaration.has(secret) ? "its value" : "\"" + std::string(value.substr(0, 200)) + "\"";
    return {ErrorKind::invalid, "config.value",
            declaration.name + ": " + shown + " will not do; it must be " + std::string(wanted)};
}

Result<void> check_number(const Declaration& declaration, std::string_view value) {
    const auto number = to_number(declaration.kind, value);
    if (!number) return bad_value(declaration, value, what_is_wanted(declaration));
    const std::int64_t min = declaration.kind == Kind::integer
                                 ? declaration.range.min
                                 : std::max<std::int64_t>(0, declaration.range.min);
    const std::int64_t in_unit = *number / unit_size(declaration.kind);
    if (in_unit < min || (*number < 0 && min >= 0))
        return bad_value(declaration, value, "at least " + std::to_string(min));
    if (in_unit > declaration.range.max)
        return bad_value(declaration, value, "at most " + std::to_string(declaration.range.max));
    return {};
}

Result<void> check_decimal(const Declaration& declaration, std::string_view value) {
    const auto number = to_decimal(value);
    if (!number) return bad_value(declaration, value, what_is_wanted(declaration));
    if (*number < static_cast<double>(declaration.range.min))
        return bad_value(declaration, value, "at least " + std::to_string(declaration.range.min));
    if (*number > static_cast<double>(declaration.range.max))
        return bad_value(declaration, value, "at most " + std::to_string(declaration.range.max));
    return {};
}

bool has_form(const Declaration& declaration, std::string_view value) {
    if (declaration.form == nullptr) return true;
    if (declaration.kind != Kind::list)
        return value.empty() ? declaration.fallback == "" : declaration.form->fits(value);
    const List items = to_list(value);
    if (items.empty()) return declaration.fallback == "";
    return std::ranges::all_of(items, declaration.form->fits);
}

// Whether both read the same value out of the same text. Which flags and bounds hold is for who
// declared it first: a plugin may name a key of the core to read it.
bool same(const Declaration& a, const Declaration& b) {
    return a.kind == b.kind && a.fallback == b.fallback;
}

}  // namespace

Result<void> check_value(const Declaration& declaration, std::string_view value) {
    if (is_number(declaration.kind)) return check_number(declaration, value);
    if (declaration.kind == Kind::number) return check_decimal(declaration, value);
    bool good = has_form(declaration, value);
    if (declaration.kind == Kind::boolean) good = to_boolean(value).has_value();
    if (declaration.kind == Kind::path) good = value.empty() || value.front() == '/';
    if (declaration.kind == Kind::word)
        good = std::ranges::count(text::split(declaration.unit, '|'), value) != 0;
    if (!good) return bad_value(declaration, value, what_is_wanted(declaration));
    return {};
}

std::optional<bool> to_boolean(std::string_view value) {
    const std::string word = text::lower(value);
    for (const std::string_view yes : {"1", "yes", "true", "on"})
        if (word == yes) return true;
    for (const std::string_view no : {"0", "no", "false", "off", ""})
        if (word == no) return false;
    return std::nullopt;
}

std::optional<std::int64_t> to_number(Kind kind, std::string_view value) {
    switch (kind) {
        case Kind::integer:
            return text::to_integer(value);
        case Kind::seconds:
            return scaled(value, time_suffixes, 1'000);
        case Kind::milliseconds:
            return scaled(value, time_suffixes, 1);
        case Kind::bytes:
            return scaled(value, size_suffixes, 1);
        case Kind::mebibytes: {
            const auto bytes = scaled(value, size_suffixes, 1LL << 20);
            if (!bytes || *bytes % (1LL << 20) != 0) return std::nullopt;
            return *bytes / (1LL << 20);
        }
        default:
            return std::nullopt;
    }
}

std::optional<double> to_decimal(std::string_view value) {
    // Not from_chars(): for the sake of a double it takes libm along, a tenth of the agent's
    // memory.
    static const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);
    if (value.empty() || value.front() == '+' ||
        value.find_first_not_of("0123456789.eE+-") != std::string_view::npos)
        return std::nullopt;
    const std::string text(value);
    char* rest = nullptr;
    const double number = ::strtod_l(text.c_str(), &rest, plain);
    if (*rest != '\0' || !std::isfinite(number)) return std::nullopt;
    return number;
}

List to_list(std::string_view value) {
    return text::split_list(value);
}

List names_in(std::string_view aliases) {
    return text::split_list(aliases, ' ');
}

Result<void> KeySet::declare(const std::vector<Declaration>& declarations) {
    KeySet wider = *this;
    for (const Declaration& declaration : declarations) QVD_CHECK(wider.declare(declaration));
    *this = std::move(wider);
    return {};
}

Result<void> KeySet::declare(Declaration declaration) {
    const auto wrong = [&](const std::string& why) {
        return Error{ErrorKind::invalid, "config.declaration",
                     "key \"" + declaration.name + "\" cannot be declared: " + why};
    };
    if (declaration.name.empty() ||
        declaration.name.find_first_of(" \t\n=:${}") != std::string::npos)
        return wrong("that is no name of a key");
    const bool expanded =
        declaration.fallback && declaration.fallback->find("${") != std::string::npos;
    if (declaration.fallback && !expanded)
        if (const auto checked = check_value(declaration, *declaration.fallback); !checked.ok())
            return wrong("its default is wrong: " + checked.error().sentence());
    if (aliases_.contains(declaration.name))
        return wrong("it is another name of " + aliases_.at(declaration.name));
    const auto [found, added] = declarations_.try_emplace(declaration.name, declaration);
    if (!added && !same(found->second, declaration))
        return wrong("it is declared already, as " + what_is_wanted(found->second) +
                     (found->second.fallback
                          ? " with the default \"" + *found->second.fallback + '"'
                          : " without a default"));
    for (const std::string& alias : declaration.aliases) aliases_.emplace(alias, declaration.name);
    return {};
}

void KeySet::insert(Declaration declaration) {
    const auto declared = declare(std::move(declaration));
    if (!declared.ok()) throw std::logic_error(declared.error().sentence());
}

std::string KeySet::canonical(std::string_view name) const {
    const auto found = aliases_.find(name);
    return found == aliases_.end() ? std::string(name) : found->second;
}

const Declaration* KeySet::find(std::string_view name) const {
    if (const auto alias = aliases_.find(name); alias != aliases_.end()) name = alias->second;
    if (const auto found = declarations_.find(name); found != declarations_.end())
        return &found->second;
    // The longest family wins: "a.b.*" before "a.*".
    for (std::size_t dot = name.rfind('.'); dot != std::string_view::npos && dot != 0;
         dot = name.rfind('.', dot - 1)) {
        const std::string family = std::string(name.substr(0, dot)) + ".*";
        if (const auto found = declarations_.find(family); found != declarations_.end())
            return &found->second;
    }
    return nullptr;
}

std::string KeySet::nearest(std::string_view name) const {
    return text::nearest(name, candidates_for(*this, name));
}

}  // namespace qvd::config
