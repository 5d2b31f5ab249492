// The server's HTTP replies, taken out of a byte stream: several heads in one record, one head in
// several, and whatever follows the 101 left as it is.
#pragma once

#include "base/result.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace qvd::client {

struct Reply {
    int code = 0;
    std::string reason;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;

    // Empty if there is no such header; `name` in lower case.
    [[nodiscard]] std::string_view header(std::string_view name) const;
    // The server closes the connection after this reply.
    [[nodiscard]] bool closes() const;
};

class ReplyReader {
public:
    // Bytes of one head, and of one body.
    static constexpr std::size_t head_limit = 16U << 10U;
    static constexpr std::size_t body_limit = 4U << 20U;

    void feed(std::string_view bytes) { buffer_ += bytes; }
    // The next whole reply, or nothing until more bytes are fed. Errors: server.protocol.
    Result<std::optional<Reply>> next();
    // The connection has ended: a body without a length is whole now. Errors: network.closed.
    Result<Reply> finish();
    // What was fed and belongs to no reply: after a 101 the session's first bytes.
    [[nodiscard]] std::string take_rest();

private:
    Result<bool> take_head();

    std::string buffer_;
    std::optional<Reply> pending_;  // a head whose body is not there yet
    std::optional<std::size_t> length_;
};

}  // namespace qvd::client
