// The process in which one VmaHook plugin lives, and what it and the agent say to each other.
#pragma once

#include "agent/protocol.hpp"
#include "config/properties.hpp"
#include "vma/keys.hpp"

namespace qvd::vma {

// One packet of the socket between them: named values. Requests have "id", "kind", "number",
// "word", "limit" (milliseconds), "user.name", "user.home" and "p.NAME" of each parameter. Answers
// have "id" and "status" of qvd/plugin.h, "sentence" and "put.NAME"; of id 0 the one after loading,
// status 0 if all is well. Packets with "log" are lines for the log: "level", "line".
using Packet = agent::Parameters;
std::string encode_packet(const Packet& packet);
Packet decode_packet(std::string_view bytes);

inline constexpr std::size_t packet_limit = 160U << 10U;

// Becomes the plugin's host: loads it, answers on `socket` until that is closed, and exits. For a
// child just forked.
[[noreturn]] void run_hook_host(int socket, const std::string& plugin, const Settings& settings,
                                const config::Properties& file);

}  // namespace qvd::vma
