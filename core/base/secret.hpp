// A password, token or key: never printed by accident, wiped when it goes, compared in constant
// time.
#pragma once

#include <string>
#include <string_view>

namespace qvd {

class Secret {
public:
    Secret() = default;
    explicit Secret(std::string_view text) : text_(text) {}
    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept;
    Secret& operator=(const Secret& other);
    Secret& operator=(Secret&& other) noexcept;
    ~Secret();

    // The clear text; the name makes each use easy to find in a review.
    [[nodiscard]] std::string_view reveal() const noexcept { return text_; }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

    // Takes as long for a near miss as for a far one; only the lengths may be learnt from it.
    [[nodiscard]] bool equals(std::string_view other) const noexcept;

private:
    void wipe() noexcept;

    std::string text_;
};

// `bytes` random bytes of the kernel's, in lower-case hexadecimal.
Secret random_token(std::size_t bytes);
// `length` characters of A-Za-z0-9, each equally likely (the slave key of protocol A7).
Secret random_alphanumeric(std::size_t length);

}  // namespace qvd
