// Result<T>: a value or the Error that stood in its way. Never both, never neither.
#pragma once

#include "base/error.hpp"

#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace qvd {

// Thrown when value() is asked of a failed Result: a bug of the caller's.
class BadResultAccess : public std::logic_error {
public:
    explicit BadResultAccess(const Error& error)
        : std::logic_error("value() of a failed result: " + error.sentence()) {}
};

template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

    [[nodiscard]] bool ok() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }

    [[nodiscard]] const T& value() const& { return check(), std::get<0>(content_); }
    [[nodiscard]] T& value() & { return check(), std::get<0>(content_); }
    [[nodiscard]] T&& value() && { return check(), std::get<0>(std::move(content_)); }
    [[nodiscard]] T value_or(T fallback) const& { return ok() ? std::get<0>(content_) : fallback; }

    [[nodiscard]] const Error& error() const& { return std::get<1>(content_); }
    [[nodiscard]] Error&& error() && { return std::get<1>(std::move(content_)); }

    const T* operator->() const { return &value(); }
    T* operator->() { return &value(); }
    const T& operator*() const& { return value(); }
    T& operator*() & { return value(); }

private:
    void check() const {
        if (!ok()) throw BadResultAccess(std::get<1>(content_));
    }

    std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

    [[nodiscard]] bool ok() const noexcept { return error_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }
    [[nodiscard]] const Error& error() const& { return std::get<1>(error_); }
    [[nodiscard]] Error&& error() && { return std::get<1>(std::move(error_)); }

private:
    std::variant<std::monostate, Error> error_;
};

}  // namespace qvd

#define QVD_JOIN_(a, b) a##b
#define QVD_JOIN(a, b) QVD_JOIN_(a, b)

// QVD_TRY(const Vm vm, find(id)): declares vm, or leaves this function with the Error.
#define QVD_TRY_(result, leave, declaration, ...)      \
    auto result = (__VA_ARGS__);                       \
    if (!result.ok()) leave std::move(result).error(); \
    declaration = std::move(result).value()
#define QVD_CHECK_(result, leave, ...)                     \
    do {                                                   \
        auto result = (__VA_ARGS__);                       \
        if (!result.ok()) leave std::move(result).error(); \
    } while (false)

#define QVD_TRY(declaration, ...) \
    QVD_TRY_(QVD_JOIN(qvd_result_, __LINE__), return, declaration, __VA_ARGS__)
#define QVD_CO_TRY(declaration, ...) \
    QVD_TRY_(QVD_JOIN(qvd_result_, __LINE__), co_return, declaration, __VA_ARGS__)
// QVD_CHECK(remove(id)): goes on, or leaves this function with the Error.
#define QVD_CHECK(...) QVD_CHECK_(QVD_JOIN(qvd_result_, __LINE__), return, __VA_ARGS__)
#define QVD_CO_CHECK(...) QVD_CHECK_(QVD_JOIN(qvd_result_, __LINE__), co_return, __VA_ARGS__)
