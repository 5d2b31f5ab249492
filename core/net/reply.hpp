// Writes replies so that every known client reads them (protocol A3): CR LF, a reason, canonical
// names, an exact Content-Length above 0. Text from elsewhere cannot add lines.
#pragma once

#include "base/secret.hpp"
#include "net/frames.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace qvd::net {

// "Not Found" for 404; "Answer" for a code that nobody knows.
[[nodiscard]] std::string_view reason_of(std::uint16_t status);

// Head and body; the body is never empty ("404 Not Found\r\n" stands in).
struct Answer {
    std::string head;
    std::string body;
};
// Content-Length and Connection of `headers` are ours to write and left out. `close` announces that
// the connection ends after it. A status outside 200…599, or one that
// may have no body, becomes 500.
[[nodiscard]] Answer answer(std::uint16_t status, const Headers& headers, std::string body,
                            bool close);

// "HTTP/1.1 102 Processing" with X-QVD-VM-Info.
[[nodiscard]] std::string progress_head(std::string_view text);
// "HTTP/1.1 101 Switching Protocols"; without X-QVD-Slave-Key when the key is empty, and without
// Connection and Upgrade when no protocol is named.
[[nodiscard]] std::string switch_head(const Secret& slave_key, std::string_view protocol = {});

}  // namespace qvd::net
