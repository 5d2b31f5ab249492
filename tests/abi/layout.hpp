// The words in which a layout is written down. One assertion each; nothing runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#define SIZE(struct_, bytes) static_assert(sizeof(struct_) == (bytes))
#define FIELD(struct_, field, offset, ...)               \
    static_assert(offsetof(struct_, field) == (offset)); \
    static_assert(std::is_same_v<decltype(struct_::field), __VA_ARGS__>)
#define ALIAS(name, ...) static_assert(std::is_same_v<name, __VA_ARGS__>)
#define VALUE(name, number) static_assert((name) == (number))
#define ID(name, text) static_assert(std::string_view(name) == (text))
