// Foreign text made fit for the user's terminal.
#pragma once

#include <string>
#include <string_view>

namespace qvd::client {

// The first `limit` bytes without control characters (a server must not steer the terminal), white
// space runs as one blank, nothing at the ends. Bytes from 0xA0 on, UTF-8 most likely, stay.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 512);

}  // namespace qvd::client
