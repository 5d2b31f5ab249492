#include "client/reply.hpp"

#include "base/text.hpp"
#include "client/printable.hpp"

#include <utility>
#include <vector>

namespace qvd::client {
namespace {

Error malformed(const std::string& what) {
    return {ErrorKind::internal, "server.protocol", "the server does not speak QVD: " + what};
}

// Where the head ends and what follows begins: after an empty line, CR LF or bare LF.
std::size_t end_of_head(std::string_view bytes) {
    for (std::size_t at = bytes.find('\n'); at != std::string_view::npos;
         at = bytes.find('\n', at + 1)) {
        const std::string_view rest = bytes.substr(at + 1);
        if (rest.starts_with('\n')) return at + 2;
        if (rest.starts_with("\r\n")) return at + 3;
    }
    return std::string_view::npos;
}

// Replies to which no body belongs, whatever the headers say.
bool bodiless(int code) {
    return code < 200 || code == 204 || code == 304;
}

Result<Reply> parse_status(std::string_view line) {
    Reply reply;
    const auto code = line.size() >= 12 ? text::to_integer(line.substr(9, 3)) : std::nullopt;
    if (!line.starts_with("HTTP/1.") || !code || *code < 100)
        return malformed("it answered \"" + printable(line, 60) + "\"");
    reply.code = static_cast<int>(*code);
    reply.reason = printable(line.substr(12), 100);
    return reply;
}

Result<Reply> parse_head(std::string_view head) {
    const std::vector<std::string> lines = text::split(head, '\n');
    QVD_TRY(Reply reply, parse_status(text::trim(lines.front())));
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const std::string_view line = text::trim(lines[i]);
        if (line.empty()) continue;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            return malformed("a header without colon, \"" + printable(line, 60) + "\"");
        reply.headers[text::lower(text::trim(line.substr(0, colon)))] =
            std::string(text::trim(line.substr(colon + 1)));
    }
    return reply;
}

}  // namespace

std::string_view Reply::header(std::string_view name) const {
    const auto found = headers.find(std::string(name));
    return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

bool Reply::closes() const {
    return text::equals_ignoring_case(header("connection"), "close");
}

Result<bool> ReplyReader::take_head() {
    while (buffer_.starts_with('\n') || buffer_.starts_with("\r\n"))
        buffer_.erase(0, buffer_.find('\n') + 1);
    const std::size_t end = end_of_head(buffer_);
    if ((end == std::string::npos ? buffer_.size() : end) > head_limit)
        return malformed("an answer's head is too long");
    if (end == std::string::npos) return false;
    QVD_TRY(pending_, parse_head(std::string_view(buffer_).substr(0, end)));
    buffer_.erase(0, end);
    length_.reset();
    if (bodiless(pending_->code)) {
        length_ = 0;
    } else if (const std::string_view text = pending_->header("content-length"); !text.empty()) {
        const auto length = text::to_integer(text);
        if (!length || *length < 0 || static_cast<std::size_t>(*length) > body_limit)
            return malformed("Content-Length is \"" + printable(text, 40) + "\"");
        length_ = static_cast<std::size_t>(*length);
    }
    return true;
}

Result<std::optional<Reply>> ReplyReader::next() {
    if (!pending_) {
        QVD_TRY(const bool complete, take_head());
        if (!complete) return std::optional<Reply>{};
    }
    if (!length_ && buffer_.size() > body_limit) return malformed("an answer is too long");
    if (!length_ || buffer_.size() < *length_) return std::optional<Reply>{};
    pending_->body = buffer_.substr(0, *length_);
    buffer_.erase(0, *length_);
    return std::exchange(pending_, std::nullopt);
}

Result<Reply> ReplyReader::finish() {
    if (!pending_ || length_)
        return Error{ErrorKind::unavailable, "network.closed",
                     "the server closed the connection without an answer"};
    pending_->body = std::exchange(buffer_, {});
    return *std::exchange(pending_, std::nullopt);
}

std::string ReplyReader::take_rest() {
    return std::exchange(buffer_, {});
}

}  // namespace qvd::client
