#include "agent/json.hpp"

#include "base/text.hpp"

namespace qvd::agent {

namespace {

constexpr int depth_limit = 16;

void append_utf8(std::string& out, unsigned point) {
    const auto add = [&out](unsigned byte) { out += static_cast<char>(byte); };
    if (point < 0x80U) {
        add(point);
    } else if (point < 0x800U) {
        add(0xC0U | point >> 6U);
        add(0x80U | (point & 0x3FU));
    } else if (point < 0x10000U) {
        add(0xE0U | point >> 12U);
        add(0x80U | (point >> 6U & 0x3FU));
        add(0x80U | (point & 0x3FU));
    } else {
        add(0xF0U | point >> 18U);
        add(0x80U | (point >> 12U & 0x3FU));
        add(0x80U | (point >> 6U & 0x3FU));
        add(0x80U | (point & 0x3FU));
    }
}

bool is_bare(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
           c == 'E';
}

}  // namespace

char JsonReader::peek() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
        ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonReader::take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
}

bool JsonReader::hex4(unsigned& unit) {
    unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
        if (at_ >= text_.size()) return false;
        static constexpr std::string_view digits = "0123456789abcdef";
        const std::size_t digit = digits.find(text::lower(text_.substr(at_, 1)));
        if (digit == std::string_view::npos) return false;
        unit = unit << 4U | static_cast<unsigned>(digit);
    }
    return true;
}

bool JsonReader::escape(std::string& out) {
    if (at_ >= text_.size()) return false;
    static constexpr std::string_view letters = "\"\\/bfnrt";
    static constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    const char letter = text_[at_++];
    if (const std::size_t known = letters.find(letter); known != std::string_view::npos) {
        out += meanings[known];
        return true;
    }
    unsigned unit = 0;
    if (letter != 'u' || !hex4(unit)) return false;
    if (unit >= 0xD800U && unit < 0xDC00U && text_.substr(at_, 2) == "\\u") {
        at_ += 2;
        unsigned low = 0;
        if (!hex4(low) || low < 0xDC00U || low > 0xDFFFU) return false;
        unit = 0x10000U + ((unit - 0xD800U) << 10U) + (low - 0xDC00U);
    } else if (unit >= 0xD800U && unit <= 0xDFFFU) {
        return false;
    }
    append_utf8(out, unit);
    return true;
}

std::optional<std::string> JsonReader::string() {
    if (!take('"')) return std::nullopt;
    std::string out;
    while (at_ < text_.size()) {
        const char c = text_[at_++];
        if (c == '"') return out;
        if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
        if (c != '\\')
            out += c;
        else if (!escape(out))
            return std::nullopt;
    }
    return std::nullopt;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by depth_limit
bool JsonReader::members(char close, bool named, int depth) {
    ++at_;
    if (take(close)) return true;
    do {
        if (named && (!string() || !take(':'))) return false;
        if (!raw(depth + 1)) return false;
    } while (take(','));
    return take(close);
}

bool JsonReader::word_or_number() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_bare(text_[at_])) ++at_;
    const std::string_view word = text_.substr(start, at_ - start);
    if (word.empty()) return false;
    const bool is_number = word.front() == '-' || (word.front() >= '0' && word.front() <= '9');
    return is_number || word == "null" || word == "true" || word == "false";
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by depth_limit
std::optional<std::string_view> JsonReader::raw(int depth) {
    const char first = peek();
    const std::size_t start = at_;
    bool good = false;
    if (first == '"')
        good = string().has_value();
    else if (first == '[' || first == '{')
        good = depth < depth_limit && members(first == '[' ? ']' : '}', first == '{', depth);
    else
        good = word_or_number();
    if (!good) return std::nullopt;
    return text_.substr(start, at_ - start);
}

}  // namespace qvd::agent
