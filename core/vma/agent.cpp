#include "vma/agent.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "vma/poweroff.hpp"
#include "vma/vnc.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace qvd::vma {

namespace {

namespace method = agent::method;

HttpAnswer answer_of(std::string body) {
    return {200, std::string(agent::content_type), std::move(body), {}, {}};
}

HttpAnswer failure_of(const Error& error) {
    return answer_of(agent::encode_failure(error.sentence()));
}

HttpAnswer answer_of(const Result<std::string>& result) {
    return result.ok() ? answer_of(agent::encode_text(*result)) : failure_of(result.error());
}

HttpAnswer plain(int status, std::string_view sentence) {
    return {status, "text/plain", std::string(sentence) + "\r\n", {}, {}};
}

agent::Hello own_hello() {
    return {agent::protocol_version,
            {std::string(agent::feature::x_reason), std::string(agent::feature::token),
             std::string(agent::feature::adopt), std::string(agent::feature::x_wait)}};
}

constexpr std::int64_t longest_wait_ms = 10'000;

struct Wait {
    agent::XState unless;
    Milliseconds limit;
};

// Of x_state: what its caller knows already and how long he would wait for news (feature x_wait).
std::optional<Wait> wait_of(const agent::Parameters& parameters) {
    const auto unless = parameters.find("unless");
    const auto limit = parameters.find("wait_ms");
    if (unless == parameters.end() || limit == parameters.end()) return std::nullopt;
    const auto state = agent::parse_x_state(unless->second);
    const auto milliseconds = text::to_integer(limit->second);
    if (!state.ok() || !milliseconds || *milliseconds <= 0) return std::nullopt;
    return Wait{*state, Milliseconds{std::min(*milliseconds, longest_wait_ms)}};
}

}  // namespace

Agent::Agent(Loop& loop, Processes& processes, const Settings& settings, HookPlugins& plugins)
    : loop_(loop),
      processes_(processes),
      settings_(settings),
      plugins_(plugins),
      hooks_(loop, processes, settings, plugins),
      session_(loop, processes, hooks_, settings),
      server_(loop, HttpServer::Limits{},
              [this](HttpRequest request) { return answer(std::move(request)); }) {
}

Result<void> Agent::start() {
    QVD_CHECK(file::make_folders(settings_.run_folder));
    QVD_CHECK(file::make_folders(settings_.log_folder));
    session_.adopt();
    QVD_CHECK(server_.listen(settings_.address, settings_.port));
    log::info("vma.listening", {{"address", settings_.address}, {"port", port()}}, "");
    return {};
}

std::optional<HttpAnswer> Agent::refusal(const HttpRequest& request) const {
    if (settings_.token_file.empty()) return std::nullopt;
    struct stat facts {};
    // Read anew each time: the hypervisor may put it there after the agent has started.
    if (::stat(settings_.token_file.c_str(), &facts) != 0 && errno == ENOENT) return std::nullopt;
    const Result<std::string> content = file::read(settings_.token_file, 4096);
    if (!content.ok())
        log::error("vma.token.unreadable", {{"code", content.error().code()}},
                   content.error().sentence());
    const Secret token{content.ok() ? text::trim(*content) : std::string_view{}};
    static constexpr std::string_view scheme = "bearer ";
    const std::string_view sent = request.authorization;
    const bool is_bearer = text::equals_ignoring_case(sent.substr(0, scheme.size()), scheme);
    // A token that is empty or cannot be read opens for nobody.
    if (!token.empty() && is_bearer && token.equals(text::trim(sent.substr(scheme.size()))))
        return std::nullopt;
    return plain(401, "this agent wants the token that its VM was started with");
}

Task<HttpAnswer> Agent::answer(HttpRequest request) {
    if (auto refused = refusal(request)) {
        // The user could fill the disk otherwise: now and then is enough.
        if (std::has_single_bit(++refused_calls_))
            log::warn("vma.token.refused", {{"calls", refused_calls_}},
                      "calls without the right token so far");
        co_return std::move(*refused);
    }
    Result<agent::Request> call = agent::parse_target(request.target);
    if (!call.ok()) co_return plain(404, "there is nothing at this address");
    log::debug("vma.call", {{"method", call->method}}, "");
    if (call->method == method::vnc_connect) {
        auto showing = show_display(processes_, settings_, session_, std::move(request.upgrade));
        co_return co_await std::move(showing);
    }
    auto dispatching = dispatch(std::move(*call));
    co_return co_await std::move(dispatching);
}

Task<HttpAnswer> Agent::dispatch(agent::Request request) {
    const std::string& name = request.method;
    if (name == method::ping) co_return answer_of(agent::encode_number(1));
    if (name == method::hello) co_return answer_of(agent::encode_hello(own_hello()));
    if (name == method::x_state) {
        if (const auto wait = wait_of(request.parameters)) {
            auto change = session_.change_from(wait->unless, wait->limit);
            co_await change;
        }
        co_return answer_of(agent::encode_text(agent::to_string(session_.state())));
    }
    if (name == method::x_reason)
        co_return answer_of(session_.reason() ? agent::encode_text(*session_.reason())
                                              : agent::encode_null());
    if (name == method::x_start) {
        auto starting = session_.start(std::move(request.parameters));
        const Result<std::string> started = co_await std::move(starting);
        co_return answer_of(started);
    }
    if (name == method::x_suspend) {
        auto suspending = session_.suspend();
        const Result<std::string> suspended = co_await std::move(suspending);
        co_return answer_of(suspended);
    }
    if (name == method::x_stop) {
        auto stopping = session_.stop();
        const Result<std::string> stopped = co_await std::move(stopping);
        co_return answer_of(stopped);
    }
    if (name == method::poweroff) {
        auto ending = power_down();
        co_return co_await std::move(ending);
    }
    if (name == method::expire) {
        auto expiring = expire(std::move(request.parameters));
        co_return co_await std::move(expiring);
    }
    co_return plain(404, "this agent has no such method");
}

Task<HttpAnswer> Agent::power_down() {
    agent::Parameters parameters;
    auto hook = hooks_.run(hook::poweroff, parameters, session_.state());
    const Result<bool> content = co_await std::move(hook);
    if (!content.ok()) co_return failure_of(content.error());
    log::info("vma.poweroff", {}, "the VM is asked to end");
    // After the answer: the network may go first.
    loop_.after(Milliseconds{100},
                [this] { loop_.start(power_off(loop_, processes_, settings_)); });
    co_return answer_of(agent::encode_null());
}

Task<HttpAnswer> Agent::expire(agent::Parameters parameters) {
    auto hook = hooks_.run(hook::expire, parameters, session_.state());
    const Result<bool> content = co_await std::move(hook);
    if (!content.ok()) co_return failure_of(content.error());
    co_return answer_of(agent::encode_null());
}

}  // namespace qvd::vma
