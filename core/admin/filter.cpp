#include "admin/filter.hpp"

#include "admin/values.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <set>

namespace qvd::admin {

namespace {

constexpr std::string_view property_prefix = "property.";

std::string known_keys(const Row& row) {
    std::set<std::string> names;
    for (const Cell& cell : row.cells()) names.insert(cell.key);
    return text::join({names.begin(), names.end()}, ", ");
}

// vm_id=7 is id=7 of a VM, as the manual sometimes writes.
std::string canonical(const std::string& key) {
    for (const std::string_view own : {"vm_id", "di_id"})
        if (key == own) return "id";
    return key;
}

bool value_matches(const std::string& pattern, const Cell& cell) {
    if (text::matches_wildcard(pattern, cell.value)) return true;
    // What a table shows can be asked for: yes, and "-" of what is missing.
    if (pattern == cell.shown()) return true;
    if (cell.kind == Cell::Kind::boolean)
        if (const auto wanted = parse_boolean(pattern); wanted.ok())
            return *wanted == (cell.value == "1");
    // "starting" is also said of starting_1 and starting_2.
    const std::size_t phase = cell.value.rfind('_');
    return cell.key == "state" && phase != std::string::npos &&
           text::matches_wildcard(pattern, cell.value.substr(0, phase));
}

bool cell_matches(const std::string& key, const std::string& pattern, const Row& row) {
    const std::string name = row.find(key) != nullptr ? key : canonical(key);
    return std::ranges::any_of(row.cells(), [&](const Cell& cell) {
        return cell.key == name && value_matches(pattern, cell);
    });
}

bool property_matches(const std::string& name, const std::string& pattern,
                      const Properties& properties) {
    const auto found = properties.find(name);
    return found != properties.end() && text::matches_wildcard(pattern, found->second);
}

}  // namespace

Result<Filter> Filter::parse(const std::vector<std::string>& texts) {
    Filter filter;
    for (const std::string& text : texts) {
        for (const std::string& term : text::split_list(text)) {
            const std::size_t equals = term.find('=');
            if (equals == std::string::npos || equals == 0)
                return Error{ErrorKind::invalid, "filter.syntax",
                             "a filter is KEY=VALUE[,KEY=VALUE...], not " + text::quoted(term)};
            filter.terms_.emplace_back(term.substr(0, equals), term.substr(equals + 1));
        }
    }
    return filter;
}

bool Filter::needs_properties() const {
    return std::ranges::any_of(
        terms_, [](const auto& term) { return term.first.starts_with(property_prefix); });
}

Result<void> Filter::check_keys(const Row& row) const {
    for (const auto& [key, pattern] : terms_)
        if (!key.starts_with(property_prefix) && key != "tag" && row.find(key) == nullptr &&
            row.find(canonical(key)) == nullptr)
            return Error{ErrorKind::invalid, "filter.key",
                         "there is no filter key " + text::quoted(key) +
                             " here (known: " + known_keys(row) + ", property.NAME)"};
    return {};
}

bool Filter::matches(const Row& row, const Properties& properties) const {
    return std::ranges::all_of(terms_, [&](const auto& term) {
        return term.first.starts_with(property_prefix)
                   ? property_matches(term.first.substr(property_prefix.size()), term.second,
                                      properties)
                   : cell_matches(term.first, term.second, row);
    });
}

}  // namespace qvd::admin
