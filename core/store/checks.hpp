// What a name, tag, address or version must look like, whatever store it goes to.
#pragma once

#include "store/store.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace qvd::store::checks {

// 1 to `limit` bytes of UTF-8 without control characters, no blank at either end; errors have the
// code `code`, e.g. "vm.name".
Result<void> name(std::string_view code, std::string_view text, std::size_t limit = 64);
// "tag.name": a name without blanks, at most 128 bytes.
Result<void> tag(std::string_view text);
// "di.name": a file name without folder that may follow "<id>-".
Result<void> image_name(std::string_view text);
// "property.key" and "property.value".
Result<void> property(std::string_view key, std::string_view value);
// "config.key" and "config.value" of the table configs.
Result<void> configured(std::string_view key, std::string_view value);

// "di.version": a tag, but not one of those that move.
Result<void> version(std::string_view text);
// The phase belongs to the state; stopped and failed are reached by clear_vm() only, and nothing
// else is: "vm.transition".
Result<void> transition(const VmTransition& change, bool clearing);
// A client's address as a session row keeps it: IPv4 or IPv6 without its zone, or empty.
Result<std::string> client_address(std::string_view text);
// "vm.endpoint": known kind and transport, each kind once.
Result<void> endpoints(const std::vector<Endpoint>& endpoints);

// Dotted IPv4 as a number, 10.0.0.1 = 0x0a000001; "address.invalid".
Result<std::uint32_t> address(std::string_view text);
std::string address_text(std::uint32_t address);

}  // namespace qvd::store::checks
