#include "store/checks.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace qvd::store::checks {

namespace {

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20U || byte == 0x7FU;
}

Error wrong(std::string_view code, std::string_view text, const std::string& rule) {
    return {ErrorKind::invalid, std::string(code), text::quoted(text, 80) + " " + rule};
}

Result<void> text_within(std::string_view code, std::string_view text, std::size_t limit) {
    if (text.size() > limit || text.find('\0') != std::string_view::npos || !is_utf8(text))
        return Error{ErrorKind::invalid, std::string(code),
                     "the value must be UTF-8 text of at most " + std::to_string(limit) + " bytes"};
    return {};
}

}  // namespace

Result<void> name(std::string_view code, std::string_view text, std::size_t limit) {
    if (text.empty() || text.size() > limit)
        return wrong(code, text, "must have between 1 and " + std::to_string(limit) + " bytes");
    if (std::ranges::any_of(text, is_control) || !is_utf8(text))
        return wrong(code, text, "must be UTF-8 text without control characters");
    if (text::trim(text).size() != text.size())
        return wrong(code, text, "must not begin or end with a blank");
    return {};
}

Result<void> tag(std::string_view text) {
    QVD_CHECK(name("tag.name", text, 128));
    if (text.find(' ') != std::string_view::npos)
        return wrong("tag.name", text, "must not contain a blank");
    return {};
}

Result<void> image_name(std::string_view text) {
    QVD_CHECK(name("di.name", text, 200));
    if (text.find('/') != std::string_view::npos || text == "." || text == "..")
        return wrong("di.name", text, "must be the name of a file, without its folder");
    return {};
}

Result<void> property(std::string_view key, std::string_view value) {
    QVD_CHECK(name("property.key", key, 1024));
    return text_within("property.value", value, 32768);
}

Result<void> configured(std::string_view key, std::string_view value) {
    QVD_CHECK(name("config.key", key, 255));
    return text_within("config.value", value, 32768);
}

Result<void> version(std::string_view text) {
    if (text == "head" || text == "default")
        return wrong("di.version", text, "is a tag that moves and cannot be a version");
    return tag(text);
}

Result<void> transition(const VmTransition& change, bool clearing) {
    const bool phased = change.to == VmState::starting || change.to == VmState::stopping ||
                        change.to == VmState::zombie;
    const bool rests = change.to == VmState::stopped || change.to == VmState::failed;
    const bool phase_fits = phased ? change.phase == 1 || change.phase == 2 : change.phase == 0;
    if (phase_fits && rests == clearing) return {};
    return Error{ErrorKind::invalid, "vm.transition",
                 "a vm cannot be " + to_string(change.to, change.phase) +
                     (clearing ? " with nothing of it left" : " that way")};
}

Result<std::string> client_address(std::string_view text) {
    std::string plain(text.substr(0, text.find('%')));
    in6_addr parsed{};
    const bool good = plain.empty() || ::inet_pton(AF_INET, plain.c_str(), &parsed) == 1 ||
                      ::inet_pton(AF_INET6, plain.c_str(), &parsed) == 1;
    if (!good) return wrong("address.invalid", text, "is not an IP address");
    return plain;
}

Result<void> endpoints(const std::vector<Endpoint>& endpoints) {
    constexpr std::array<std::string_view, 7> kinds{"nx",     "vnc",     "spice", "ssh",
                                                    "serial", "console", "agent"};
    std::set<std::string_view> seen;
    for (const Endpoint& endpoint : endpoints) {
        const bool known = std::ranges::count(kinds, endpoint.kind) != 0 &&
                           (endpoint.transport == "tcp" || endpoint.transport == "unix") &&
                           endpoint.port >= 0 && endpoint.port <= 65535;
        if (!known || !seen.insert(endpoint.kind).second)
            return wrong("vm.endpoint", endpoint.kind + " " + endpoint.transport,
                         "is no endpoint of a vm, or given twice");
    }
    return {};
}

Result<std::uint32_t> address(std::string_view text) {
    in_addr parsed{};
    if (::inet_pton(AF_INET, std::string(text).c_str(), &parsed) != 1)
        return wrong("address.invalid", text, "is not an IPv4 address");
    return ntohl(parsed.s_addr);
}

std::string address_text(std::uint32_t address) {
    const in_addr raw{htonl(address)};
    std::array<char, INET_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET, &raw, text.data(), text.size());
    return text.data();
}

}  // namespace qvd::store::checks
