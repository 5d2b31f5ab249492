// Just enough JSON to read an answer: a bounded, recursive reader that keeps texts and positions.
// Part of protocol.cpp; not for other rooms.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace qvd::agent {

class JsonReader {
public:
    explicit JsonReader(std::string_view text) : text_(text) {}

    // Takes `c` and the blanks before it, if it is there.
    bool take(char c);
    // The next character that is no blank; 0 at the end.
    char peek();
    [[nodiscard]] bool at_end() { return peek() == '\0' && at_ == text_.size(); }

    // A string in quotes, decoded to UTF-8.
    std::optional<std::string> string();
    // Any value, as it stands in the text. Nesting is bounded.
    std::optional<std::string_view> raw(int depth = 0);

private:
    bool hex4(unsigned& unit);
    bool escape(std::string& out);
    bool members(char close, bool named, int depth);
    bool word_or_number();

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace qvd::agent
