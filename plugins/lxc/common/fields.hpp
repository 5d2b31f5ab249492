// Lines "key=value", the one format of everything that keeper, container and backend tell each
// other: the order on a keeper's standard input, the answers on its socket, and its state file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qvd::lxc {

class Fields {
public:
    Fields() = default;
    // Lines without "=" are ignored; a value reaches to the end of its line.
    static Fields parse(std::string_view text);

    // Control characters in the value become spaces: a line stays a line.
    void add(std::string_view key, std::string_view value);
    void add(std::string_view key, std::int64_t value) { add(key, std::to_string(value)); }

    // The first value of the key, or `missing`.
    [[nodiscard]] std::string get(std::string_view key, std::string_view missing = {}) const;
    [[nodiscard]] std::int64_t number(std::string_view key, std::int64_t missing = 0) const;
    // All values of a key that may be repeated, in their order.
    [[nodiscard]] std::vector<std::string> all(std::string_view key) const;
    [[nodiscard]] bool empty() const { return lines_.empty(); }

    [[nodiscard]] std::string text() const;

private:
    std::vector<std::pair<std::string, std::string>> lines_;
};

// A decimal number, or nothing if that is not all there is.
std::optional<std::int64_t> parse_number(std::string_view text);

}  // namespace qvd::lxc
