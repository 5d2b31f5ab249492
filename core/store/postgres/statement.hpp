// One statement with its values, which never become part of its text.
#pragma once

#include "base/id.hpp"
#include "base/secret.hpp"

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::store::postgres {

// Anything may be a password: all values are wiped when they go.
using Value = std::optional<Secret>;

// Exactly this number, in as few digits as that takes.
std::string text_of(double number);

inline Value value(std::string_view text) {
    return Secret(text);
}
inline Value value(const std::string& text) {
    return Secret(text);
}
inline Value value(const char* text) {
    return Secret(text);
}
inline Value value(const Secret& secret) {
    return secret;
}
inline Value value(bool flag) {
    return Secret(flag ? "t" : "f");
}
inline Value value(double number) {
    return Secret(text_of(number));
}
template <std::integral T>
requires(!std::same_as<T, bool>) Value value(T number) {
    return Secret(std::to_string(number));
}
template <class Tag>
Value value(Id<Tag> id) {
    return Secret(id.text());
}
template <class T>
Value value(const std::optional<T>& maybe) {
    if (!maybe) return std::nullopt;
    return value(*maybe);
}

struct Statement {
    // `text` must live as long as the statement: a literal or a constant.
    template <class... T>
    explicit Statement(const char* text, const T&... arguments)
        : sql(text), values{value(arguments)...} {}

    // A foreign key that it violates is one that still refers to what it deletes.
    Statement&& deletes() && {
        deleting = true;
        return std::move(*this);
    }

    const char* sql;
    std::vector<Value> values;
    bool deleting = false;
};

// {1,2,3} and {"a","b"} for `= ANY($1::bigint[])` and the like.
std::string array_of(const std::vector<std::string>& texts);

}  // namespace qvd::store::postgres
