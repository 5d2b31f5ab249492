// What is said between a node and the agent in a VM: plain HTTP/1.1 GET requests whose answers are
// one JSON value (SimpleRPC, as QVD has it since 3.x), and /vma/hello by which a newer agent is
// known. Used by both ends; needs nothing but base.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::agent {

// Where an agent listens unless `internal.vm.port.vma` says otherwise.
inline constexpr std::uint16_t default_port = 3030;
// Longest request head that an agent reads, and longest answer that a node reads, in bytes.
inline constexpr std::size_t request_limit = 16U << 10U;
inline constexpr std::size_t answer_limit = 64U << 10U;
// What `hello` answers as "protocol".
inline constexpr int protocol_version = 1;
inline constexpr std::string_view content_type = "application/json-simplerpc";

// The methods. Those marked + are unknown to upstream agents, which answer 404.
namespace method {
inline constexpr std::string_view hello = "hello";          // + {"protocol": 1, "features": [...]}
inline constexpr std::string_view ping = "ping";            // 1
inline constexpr std::string_view x_state = "x_state";      // "listening"
inline constexpr std::string_view x_start = "x_start";      // "starting"
inline constexpr std::string_view x_suspend = "x_suspend";  // "starting" or the state
inline constexpr std::string_view x_stop = "x_stop";        // "stopping" or the state
inline constexpr std::string_view x_reason = "x_reason";    // + why the last session ended, or null
inline constexpr std::string_view poweroff = "poweroff";    // null
inline constexpr std::string_view expire = "expire";        // null
// With Connection: Upgrade and Upgrade: VNC the connection itself: 102, 101, then RFB.
inline constexpr std::string_view vnc_connect = "vnc_connect";
}  // namespace method

// What `hello` may list; a node uses nothing that is not listed.
namespace feature {
inline constexpr std::string_view x_reason = "x_reason";  // the method
inline constexpr std::string_view token = "token";        // bearer tokens are understood
inline constexpr std::string_view adopt = "adopt";        // sessions outlive a restart of the agent
// x_state?unless=STATE&wait_ms=N answers once the state is another, at the latest after N.
inline constexpr std::string_view x_wait = "x_wait";
}  // namespace feature

// The desktop session as a node sees it.
enum class XState {
    stopped,
    starting,      // keep asking
    provisioning,  // the user's account or home is being made: keep asking, however long
    listening,     // the NX port is bound: connect now
    connected,
    suspending,
    suspended,
    stopping,
};

std::string_view to_string(XState state);
// Errors: agent.answer for a word that is no state.
Result<XState> parse_x_state(std::string_view word);

// Names and values of a call: of x_start the session parameters (`qvd.client.*`, `custom.*`, the
// properties, `qvd.vm.user.*`, `qvd.slave.key`).
using Parameters = std::map<std::string, std::string, std::less<>>;

struct Request {
    std::string method;
    Parameters parameters;
};

// "/vma/x_start?qvd.client.link=lan".
std::string request_target(std::string_view method, const Parameters& parameters);
// The reverse; the method is the last word of the path, as upstream has it. Errors: agent.request.
Result<Request> parse_target(std::string_view target);

// An answer's one value, as far as callers care: JSON scalars; anything else is kept as it was
// sent.
struct Value {
    enum class Kind { null, boolean, number, text, other };

    Kind kind = Kind::null;
    std::string text;  // of a text: decoded; of everything else: as it stands in JSON
};

// Bodies of an answer, with the CR LF at their end.
std::string encode_text(std::string_view text);
std::string encode_number(std::int64_t number);
std::string encode_null();
// The method failed; goes out with status 200, too.
std::string encode_failure(std::string_view sentence);

// Errors: agent.refused with the agent's own sentence (agent.session_busy if it says that the
// session is on its way from one state to another and that trying again soon will do); agent.answer
// for anything that is no SimpleRPC answer.
Result<Value> decode_body(std::string_view body);

struct Hello {
    int protocol = 0;  // 0: an upstream agent that knows no hello
    std::vector<std::string> features;

    [[nodiscard]] bool has(std::string_view feature) const;
};
std::string encode_hello(const Hello& hello);
Result<Hello> decode_hello(std::string_view body);

// What x_start says, here and upstream, while another client is still connected.
inline constexpr std::string_view busy_sentence =
    "Can't connect to X session in state connected, suspending it, retry later";
// And how it begins to say that the session is starting, or on its way out; the state follows.
inline constexpr std::string_view passing_sentence = "Unable to start/resume X session in state ";

}  // namespace qvd::agent
