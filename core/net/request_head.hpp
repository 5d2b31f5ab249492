// Reads HTTP/1.1 request heads out of a byte stream that comes in any pieces; made for what real
// QVD clients send (protocol A2): lines may end in CR LF or bare LF, blank lines may precede a
// request, long headers may be folded, no Host is needed. Nothing here waits or allocates beyond
// the limit.
//
// The outcome never depends on how the bytes were cut: each byte is judged when it arrives.
#pragma once

#include "net/frames.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace qvd::net {

struct RequestHead {
    std::string method;
    std::string target;  // as sent, undecoded
    Headers headers;     // names as sent; values trimmed, folds joined by one space
};

// The first value under `name`, whatever its case; null if there is none.
[[nodiscard]] const std::string* find_header(const Headers& headers, std::string_view name);
// Whether the comma-separated list under `name` (all lines of it) has `word`, whatever its case.
[[nodiscard]] bool header_lists(const Headers& headers, std::string_view name,
                                std::string_view word);

class HeadReader {
public:
    static constexpr std::size_t max_headers = 256;
    enum class Outcome { incomplete, complete, refused };

    // `limit`: bytes of one head, its leading blank lines and its last blank line included.
    explicit HeadReader(std::size_t limit) : limit_(limit) {}

    // Uses `bytes` up to the end of one head and removes them from the view. Once complete, take()
    // must be called before the next head; once refused, it stays so.
    Outcome consume(std::string_view& bytes);
    // The complete head; the reader is then ready for the next.
    RequestHead take();

    // Whether a request has begun: a byte other than the line ends that may precede it has come.
    [[nodiscard]] bool begun() const noexcept { return begun_; }
    // With Outcome::refused: 400, 431 or 505 and a sentence for the client.
    [[nodiscard]] std::uint16_t status() const noexcept { return status_; }
    [[nodiscard]] const std::string& sentence() const noexcept { return sentence_; }

private:
    Outcome step(char c);
    Outcome end_of_line();
    Outcome end_of_head();
    Outcome request_line();
    Outcome header_line();
    Outcome fold();
    Outcome refuse(std::uint16_t status, std::string sentence);

    std::size_t limit_;
    std::size_t used_ = 0;
    std::string line_;
    bool carriage_return_ = false;  // the last byte was a CR: only LF may follow
    bool begun_ = false;
    bool has_request_line_ = false;
    Outcome outcome_ = Outcome::incomplete;
    RequestHead head_;
    std::uint16_t status_ = 0;
    std::string sentence_;
};

}  // namespace qvd::net
