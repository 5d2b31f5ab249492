#include "net/request_head.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <utility>

namespace qvd::net {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_token_character(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

// "HTTP/" digits "." digits
bool is_version(std::string_view text) {
    constexpr std::string_view name = "HTTP/";
    if (!text.starts_with(name)) return false;
    text.remove_prefix(name.size());
    const std::size_t dot = text.find('.');
    if (dot == 0 || dot == std::string_view::npos || dot + 1 == text.size()) return false;
    return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(dot), is_digit) &&
           std::all_of(text.begin() + static_cast<std::ptrdiff_t>(dot) + 1, text.end(), is_digit);
}

std::string_view trim_blanks(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_forbidden(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
}

}  // namespace

const std::string* find_header(const Headers& headers, std::string_view name) {
    const auto found = std::find_if(headers.begin(), headers.end(), [name](const auto& header) {
        return text::equals_ignoring_case(header.first, name);
    });
    return found == headers.end() ? nullptr : &found->second;
}

bool header_lists(const Headers& headers, std::string_view name, std::string_view word) {
    return std::any_of(headers.begin(), headers.end(), [name, word](const auto& header) {
        if (!text::equals_ignoring_case(header.first, name)) return false;
        const auto words = text::split_list(header.second);
        return std::any_of(words.begin(), words.end(), [word](const std::string& listed) {
            return text::equals_ignoring_case(listed, word);
        });
    });
}

HeadReader::Outcome HeadReader::consume(std::string_view& bytes) {
    while (outcome_ == Outcome::incomplete && !bytes.empty()) {
        const char c = bytes.front();
        bytes.remove_prefix(1);
        outcome_ = step(c);
    }
    return outcome_;
}

RequestHead HeadReader::take() {
    RequestHead head = std::move(head_);
    *this = HeadReader(limit_);
    return head;
}

HeadReader::Outcome HeadReader::step(char c) {
    if (++used_ > limit_)
        return refuse(431, "The request head is longer than " + std::to_string(limit_) + " bytes");
    if (c == '\n') {
        carriage_return_ = false;
        return end_of_line();
    }
    if (carriage_return_ || (is_forbidden(c) && c != '\r'))
        return refuse(400, "The request has a control character where none may be");
    if (c == '\r') {
        carriage_return_ = true;
        return Outcome::incomplete;
    }
    begun_ = true;
    line_.push_back(c);
    return Outcome::incomplete;
}

HeadReader::Outcome HeadReader::end_of_line() {
    if (!has_request_line_) {
        if (line_.empty()) return Outcome::incomplete;
        return request_line();
    }
    if (line_.empty()) return end_of_head();
    if (line_.front() == ' ' || line_.front() == '\t') return fold();
    return header_line();
}

HeadReader::Outcome HeadReader::request_line() {
    const std::string_view line = line_;
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
        return refuse(400, "The request line is not METHOD TARGET HTTP/1.1");
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    const bool good_target =
        !target.empty() && target.find_first_of(" \t") == std::string_view::npos;
    if (!is_token(method) || !good_target || !is_version(version))
        return refuse(400, "The request line is not METHOD TARGET HTTP/1.1");
    if (version != "HTTP/1.1") return refuse(505, "Only HTTP/1.1 is spoken here");
    head_.method = method;
    head_.target = target;
    has_request_line_ = true;
    line_.clear();
    return Outcome::incomplete;
}

HeadReader::Outcome HeadReader::header_line() {
    const std::string_view line = line_;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
        return refuse(400, "A header line is not NAME: VALUE");
    if (head_.headers.size() == max_headers)
        return refuse(431, "The request has more than " + std::to_string(max_headers) + " headers");
    head_.headers.emplace_back(line.substr(0, colon), trim_blanks(line.substr(colon + 1)));
    line_.clear();
    return Outcome::incomplete;
}

HeadReader::Outcome HeadReader::fold() {
    if (head_.headers.empty()) return refuse(400, "A folded line follows no header");
    const std::string_view more = trim_blanks(line_);
    std::string& value = head_.headers.back().second;
    if (!more.empty() && !value.empty()) value.push_back(' ');
    value.append(more);
    line_.clear();
    return Outcome::incomplete;
}

// No request has a body on this port (protocol A2); one that announces a body would be misread as
// the next request.
HeadReader::Outcome HeadReader::end_of_head() {
    const std::string* length = find_header(head_.headers, "Content-Length");
    if ((length != nullptr && *length != "0") ||
        find_header(head_.headers, "Transfer-Encoding") != nullptr)
        return refuse(400, "A request has no body on this port");
    return Outcome::complete;
}

HeadReader::Outcome HeadReader::refuse(std::uint16_t status, std::string sentence) {
    status_ = status;
    sentence_ = std::move(sentence);
    line_ = std::string();
    return Outcome::refused;
}

}  // namespace qvd::net
