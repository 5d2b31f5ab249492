// What plugins hand over, taken with care: a record may be shorter or longer than this core's
// struct, and a text is what its length says.
#pragma once

#include <qvd/plugin.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

namespace qvd::plugin {

// A copy of the record, with what its writer did not know as 0; nothing if it is shorter than
// `least` bytes, the part without which it means nothing.
template <class Record>
std::optional<Record> copy_record(const void* record, std::size_t least) {
    if (record == nullptr) return std::nullopt;
    std::uint32_t size = 0;
    std::memcpy(&size, record, sizeof size);
    if (size < least || size < sizeof size) return std::nullopt;
    Record copy{};
    std::memcpy(&copy, record, std::min<std::size_t>(size, sizeof copy));
    return copy;
}

// Up to and with `field`, for copy_record().
#define QVD_LEAST(type, field) (offsetof(type, field) + sizeof(((type*)nullptr)->field))

inline std::string text_of(qvd_str text) {
    return text.data == nullptr ? std::string{} : std::string(text.data, text.length);
}

}  // namespace qvd::plugin
