#include "config/nearest_key.hpp"

#include "base/edit_distance.hpp"

#include <algorithm>

namespace qvd::config {

std::vector<std::string> candidates_for(const KeySet& keys, std::string_view name) {
    std::vector<std::string> candidates;
    candidates.reserve(keys.all().size());
    for (const auto& [declared, declaration] : keys.all()) {
        if (!declaration.is_family()) {
            candidates.push_back(declared);
            continue;
        }
        std::size_t dot = 0;
        for (auto dots = std::ranges::count(declared, '.');
             dots > 0 && dot != std::string_view::npos; --dots)
            dot = name.find('.', dot + 1);
        if (dot != std::string_view::npos)
            candidates.push_back(declared.substr(0, declared.size() - 2) +
                                 std::string(name.substr(dot)));
    }
    return candidates;
}

std::string slipped_from(const KeySet& keys, std::string_view name) {
    constexpr std::size_t furthest = 2;
    std::string best;
    std::size_t nearest = furthest + 1;
    for (std::string& candidate : candidates_for(keys, name)) {
        const std::size_t distance = text::edit_distance(name, candidate);
        if (distance >= nearest) continue;
        nearest = distance;
        best = std::move(candidate);
    }
    return best;
}

}  // namespace qvd::config
