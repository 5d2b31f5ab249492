#include "net/query.hpp"

#include "base/text.hpp"

#include <string>

namespace qvd::net {

std::optional<Headers> parse_query(std::string_view query) {
    Headers parameters;
    for (const std::string& pair : text::split(query, '&')) {
        if (pair.empty()) continue;
        const std::size_t equals = pair.find('=');
        const auto name = text::percent_decode(std::string_view(pair).substr(0, equals), true);
        const auto value =
            equals == std::string::npos
                ? std::optional<std::string>("")
                : text::percent_decode(std::string_view(pair).substr(equals + 1), true);
        if (!name || !value) return std::nullopt;
        parameters.emplace_back(*name, *value);
    }
    return parameters;
}

}  // namespace qvd::net
