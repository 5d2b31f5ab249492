#include "base/utf8.hpp"

namespace qvd {

namespace {

// How long a character is, and the least and the greatest second byte it may have.
struct Form {
    std::size_t length = 1;
    unsigned least = 0x80U;
    unsigned greatest = 0xBFU;
};

// Of a first byte; length 0: it begins nothing.
Form form_of(unsigned first) {
    if (first < 0x80U) return {};
    if (first < 0xC2U || first > 0xF4U) return {0};
    if (first < 0xE0U) return {2};
    if (first == 0xE0U) return {3, 0xA0U};         // no overlong forms
    if (first == 0xEDU) return {3, 0x80U, 0x9FU};  // no surrogates
    if (first < 0xF0U) return {3};
    if (first == 0xF0U) return {4, 0x90U};
    if (first == 0xF4U) return {4, 0x80U, 0x8FU};
    return {4};
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
    if (text.empty()) return 0;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const Form form = form_of(byte(0));
    if (form.length > text.size()) return 0;
    if (form.length > 1 && (byte(1) < form.least || byte(1) > form.greatest)) return 0;
    for (std::size_t i = 2; i < form.length; ++i)
        if (byte(i) < 0x80U || byte(i) > 0xBFU) return 0;
    return form.length;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

}  // namespace qvd
