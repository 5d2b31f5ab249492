#include "base/secret.hpp"

#include <sys/random.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace qvd {

// Copied, not moved: a short text that is moved stays where it was, too, and would not be wiped.
Secret::Secret(Secret&& other) noexcept
    : text_(other.text_) {  // NOLINT(performance-move-constructor-init)
    other.wipe();
}

Secret& Secret::operator=(const Secret& other) {
    if (this != &other) {
        wipe();
        text_ = other.text_;
    }
    return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe();
        text_ = other.text_;
        other.wipe();
    }
    return *this;
}

Secret::~Secret() {
    wipe();
}

bool Secret::equals(std::string_view other) const noexcept {
    unsigned difference = text_.size() == other.size() ? 0U : 1U;
    for (std::size_t i = 0; i < text_.size() && i < other.size(); ++i)
        difference |= static_cast<unsigned char>(text_[i]) ^ static_cast<unsigned char>(other[i]);
    return difference == 0;
}

void Secret::wipe() noexcept {
    explicit_bzero(text_.data(), text_.capacity());
    text_.clear();
}

namespace {

void fill_random(unsigned char* out, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
        const ssize_t got = getrandom(out + done, size - done, 0);
        if (got < 0) throw std::runtime_error("the kernel gives no random numbers");
        done += static_cast<std::size_t>(got);
    }
}

}  // namespace

Secret random_token(std::size_t bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string raw(bytes, '\0');
    fill_random(reinterpret_cast<unsigned char*>(raw.data()), raw.size());  // NOLINT
    std::string text;
    text.reserve(bytes * 2);
    for (const char c : raw) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4U];
        text += digits[byte & 15U];
    }
    explicit_bzero(raw.data(), raw.size());
    Secret secret{text};
    explicit_bzero(text.data(), text.size());
    return secret;
}

Secret random_alphanumeric(std::size_t length) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // Bytes past the last whole multiple of 62 are drawn again, so that no letter is likelier.
    constexpr unsigned limit = 256U - 256U % static_cast<unsigned>(letters.size());
    std::string text;
    while (text.size() < length) {
        std::array<unsigned char, 64> bytes{};
        fill_random(bytes.data(), bytes.size());
        for (const unsigned char byte : bytes)
            if (byte < limit && text.size() < length) text += letters[byte % letters.size()];
    }
    Secret secret{text};
    explicit_bzero(text.data(), text.size());
    return secret;
}

}  // namespace qvd
