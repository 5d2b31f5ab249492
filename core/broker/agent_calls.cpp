#include "broker/agent_calls.hpp"

#include "base/log.hpp"
#include "broker/spawn.hpp"

#include <algorithm>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

constexpr std::size_t max_text = 1024;
constexpr std::uint32_t max_timeout_ms = 120'000;

std::string printable(std::string text) {
    text.resize(std::min(text.size(), max_text));
    std::ranges::replace_if(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return text;
}

net::AgentAnswer::Outcome outcome_of(const Error& error) {
    using Outcome = net::AgentAnswer::Outcome;
    if (error.code() == "agent.timeout") return Outcome::timeout;
    if (error.code() == "agent.unreachable" || error.kind() == ErrorKind::unavailable)
        return Outcome::unreachable;
    return Outcome::refused;
}

asio::awaitable<net::AgentAnswer> make_call(Context& context, net::AgentCall call) {
    net::AgentAnswer answer;
    answer.call = call.call;
    const auto access = co_await context.store.agent_access(VmId{call.vm});
    if (!access.ok()) {
        // "vm.no_agent" and "vm.not_found": it does not run. Anything else says nothing about it.
        const std::string& code = access.error().code();
        const bool ended = code == "vm.no_agent" || code == "vm.not_found";
        answer.outcome =
            ended ? net::AgentAnswer::Outcome::stale : net::AgentAnswer::Outcome::unreachable;
        answer.text =
            printable((ended ? "" : "the database cannot be asked: ") + access.error().sentence());
        co_return answer;
    }
    if (access->incarnation != call.incarnation) {
        answer.outcome = net::AgentAnswer::Outcome::stale;
        answer.text = "another incarnation of the VM runs";
        co_return answer;
    }
    agent::Peer peer{access->address, static_cast<std::uint16_t>(access->agent_port),
                     access->token};
    agent::Parameters parameters(call.parameters.begin(), call.parameters.end());
    const Milliseconds limit{std::min(call.timeout_ms, max_timeout_ms)};
    const auto value =
        co_await context.agents.call(std::move(peer), call.method, std::move(parameters), limit);
    answer.outcome = value.ok() ? net::AgentAnswer::Outcome::ok : outcome_of(value.error());
    answer.text = printable(value.ok() ? value->text : value.error().sentence());
    co_return answer;
}

asio::awaitable<void> serve_call(Context& context, std::shared_ptr<net::FrameChannel> hkd,
                                 net::AgentCall call) {
    net::AgentAnswer answer;
    answer.call = call.call;
    try {
        answer = co_await make_call(context, std::move(call));
    } catch (const std::exception& problem) {
        log::error("agent.call_broken", {}, problem.what());
    }
    hkd->send(answer);
}

// False: hkd must not send such a frame.
bool take(Context& context, const std::shared_ptr<net::FrameChannel>& hkd, net::Frame& frame) {
    if (auto* const call = std::get_if<net::AgentCall>(&frame)) {
        spawn_contained(hkd->executor(), serve_call(context, hkd, std::move(*call)));
        return true;
    }
    return context.control.heard(frame);
}

}  // namespace

asio::awaitable<void> serve_hkd(Context& context, std::shared_ptr<net::FrameChannel> hkd) {
    context.control.connect(hkd);
    for (;;) {
        auto frame = co_await hkd->receive();
        if (!frame.ok() && frame.error().code() == "frame.unknown") continue;  // of a newer build
        if (!frame.ok()) break;
        if (!take(context, hkd, *frame)) {
            log::error("hkd.malformed", {}, "it sent a frame that only others send");
            break;
        }
    }
    hkd->close();
    context.control.lost(*hkd);
}

}  // namespace qvd::broker
