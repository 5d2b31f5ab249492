#include "client/printable.hpp"

#include "base/text.hpp"

namespace qvd::client {
namespace {

// U+0080 to U+009F, in UTF-8 0xC2 and one of 0x80 to 0x9F, are control characters too.
bool begins_control(std::string_view text, std::size_t at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == 0x7F) return true;
    if (byte != 0xC2 || at + 1 >= text.size()) return false;
    return static_cast<unsigned char>(text[at + 1]) < 0xA0;
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
    std::string clean;
    for (std::size_t at = 0; at < text.size() && clean.size() < limit; ++at) {
        const bool control = begins_control(text, at);
        if (control && static_cast<unsigned char>(text[at]) == 0xC2) ++at;
        if (!control && text[at] != ' ') {
            clean += text[at];
        } else if (!clean.empty() && clean.back() != ' ') {
            clean += ' ';
        }
    }
    return std::string(text::trim(clean));
}

}  // namespace qvd::client
