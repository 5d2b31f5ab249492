#include "common/fields.hpp"

#include <charconv>

namespace qvd::lxc {

Fields Fields::parse(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        fields.add(line.substr(0, equals), line.substr(equals + 1));
    }
    return fields;
}

void Fields::add(std::string_view key, std::string_view value) {
    std::string clean(value);
    for (char& c : clean)
        if (static_cast<unsigned char>(c) < ' ') c = ' ';
    lines_.emplace_back(std::string(key), std::move(clean));
}

std::string Fields::get(std::string_view key, std::string_view missing) const {
    for (const auto& [name, value] : lines_)
        if (name == key) return value;
    return std::string(missing);
}

std::int64_t Fields::number(std::string_view key, std::int64_t missing) const {
    return parse_number(get(key)).value_or(missing);
}

std::vector<std::string> Fields::all(std::string_view key) const {
    std::vector<std::string> values;
    for (const auto& [name, value] : lines_)
        if (name == key) values.push_back(value);
    return values;
}

std::string Fields::text() const {
    std::string out;
    for (const auto& [name, value] : lines_)
        out.append(name).append("=").append(value).append("\n");
    return out;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
    std::int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stopped != end || text.empty()) return std::nullopt;
    return number;
}

}  // namespace qvd::lxc
