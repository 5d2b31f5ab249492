// qvd/values.hpp - texts, secrets, arrays and properties of qvd/plugin.h as C++17 reads them.
// Views: each is lent like what it was made of.
#pragma once

#include <qvd/plugin.h>

#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>

namespace qvd::sdk {

inline std::string_view view(qvd_str s) noexcept {
    return s.length == 0 ? std::string_view() : std::string_view(s.data, s.length);
}
inline qvd_str str(std::string_view s) noexcept {
    return {s.data(), s.size()};
}

// A password or token, lent for one call; there is no operator<< on purpose.
class SecretView {
public:
    explicit SecretView(qvd_secret raw) noexcept : raw_(raw) {}
    static SecretView of(std::string_view text) noexcept {
        return SecretView(qvd_secret{text.data(), text.size()});
    }
    [[nodiscard]] bool empty() const noexcept { return raw_.length == 0; }
    [[nodiscard]] std::string_view reveal() const noexcept {
        return empty() ? std::string_view() : std::string_view(raw_.data, raw_.length);
    }
    [[nodiscard]] qvd_secret raw() const noexcept { return raw_; }

private:
    qvd_secret raw_;
};

// A range over elements that may be larger or smaller than `Raw` is here. Lent like what it is in.
template <class Raw, class View>
class Array {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = View;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = View;
        Iterator(const Array* owner, std::size_t i) noexcept : owner_(owner), i_(i) {}
        View operator*() const { return (*owner_)[i_]; }
        Iterator& operator++() noexcept {
            ++i_;
            return *this;
        }
        Iterator operator++(int) noexcept {  // NOLINT(cert-dcl21-cpp): const would forbid moving
            const Iterator before = *this;
            ++i_;
            return before;
        }
        bool operator!=(const Iterator& other) const noexcept { return i_ != other.i_; }
        bool operator==(const Iterator& other) const noexcept { return i_ == other.i_; }

    private:
        const Array* owner_;
        std::size_t i_;
    };

    explicit Array(const qvd_array& array) noexcept : array_(array) {}
    [[nodiscard]] std::size_t size() const noexcept { return array_.count; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    View operator[](std::size_t i) const {
        return View(static_cast<const Raw*>(qvd_array_at(&array_, i)));
    }
    [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] Iterator end() const noexcept { return {this, size()}; }

private:
    qvd_array array_;
};

class Property {
public:
    explicit Property(const qvd_property* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::string_view key() const noexcept { return view(raw_->key); }
    [[nodiscard]] std::string_view value() const noexcept { return view(raw_->value); }

private:
    const qvd_property* raw_;
};

// Properties or parameters, found by key.
class Properties : public Array<qvd_property, Property> {
public:
    explicit Properties(const qvd_array& array) noexcept : Array(array) {}
    [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const noexcept {
        for (const Property property : *this)
            if (property.key() == key) return property.value();
        return std::nullopt;
    }
    [[nodiscard]] std::string_view get(std::string_view key,
                                       std::string_view missing = {}) const noexcept {
        return find(key).value_or(missing);
    }
};

class Text {
public:
    explicit Text(const qvd_str* raw) noexcept : raw_(raw) {}
    operator std::string_view() const noexcept { return view(*raw_); }

private:
    const qvd_str* raw_;
};
using Texts = Array<qvd_str, Text>;

}  // namespace qvd::sdk
