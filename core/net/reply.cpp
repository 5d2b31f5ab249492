#include "net/reply.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace qvd::net {

namespace {

constexpr std::array<std::pair<std::uint16_t, std::string_view>, 24> reasons{{
    {101, "Switching Protocols"},
    {102, "Processing"},
    {200, "OK"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {422, "Unprocessable Entity"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
}};

// One line's worth of text: whatever would end the line becomes a space.
std::string on_one_line(std::string_view text) {
    std::string line(text);
    std::replace_if(
        line.begin(), line.end(),
        [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; },
        ' ');
    return line;
}

bool is_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    });
}

bool is_ours(std::string_view name) {
    return text::equals_ignoring_case(name, "Content-Length") ||
           text::equals_ignoring_case(name, "Transfer-Encoding") ||
           text::equals_ignoring_case(name, "Connection");
}

std::string status_line(std::uint16_t status) {
    return "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_of(status)) + "\r\n";
}

}  // namespace

std::string_view reason_of(std::uint16_t status) {
    const auto* const found =
        std::find_if(reasons.begin(), reasons.end(),
                     [status](const auto& known) { return known.first == status; });
    return found == reasons.end() ? "Answer" : found->second;
}

Answer answer(std::uint16_t status, const Headers& headers, std::string body, bool close) {
    if (status < 200 || status > 599 || status == 204 || status == 304) status = 500;
    if (body.empty()) body = std::to_string(status) + " " + std::string(reason_of(status)) + "\r\n";
    std::string head = status_line(status);
    bool has_type = false;
    for (const auto& [name, value] : headers) {
        if (!is_name(name) || is_ours(name)) continue;
        has_type = has_type || text::equals_ignoring_case(name, "Content-Type");
        head += name + ": " + on_one_line(value) + "\r\n";
    }
    if (!has_type) head += "Content-Type: text/plain; charset=utf-8\r\n";
    head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    if (close) head += "Connection: close\r\n";
    head += "\r\n";
    return {std::move(head), std::move(body)};
}

std::string progress_head(std::string_view text) {
    return status_line(102) + "X-QVD-VM-Info: " + on_one_line(text) + "\r\n\r\n";
}

std::string switch_head(const Secret& slave_key, std::string_view protocol) {
    std::string head = status_line(101);
    if (!protocol.empty())
        head += "Connection: Upgrade\r\nUpgrade: " + on_one_line(protocol) + "\r\n";
    if (!slave_key.empty()) head += "X-QVD-Slave-Key: " + on_one_line(slave_key.reveal()) + "\r\n";
    return head + "\r\n";
}

}  // namespace qvd::net
