// The agent itself: what each call of the protocol does.
#pragma once

#include "vma/http_server.hpp"
#include "vma/session.hpp"

namespace qvd::vma {

class Agent {
public:
    // All must outlive it. Keep `settings` unchanged.
    Agent(Loop& loop, Processes& processes, const Settings& settings, HookPlugins& plugins);

    // Takes over what runs, and answers calls from now on. Errors: vma.listen, file.*.
    Result<void> start();
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }

    // Public for tests.
    Task<HttpAnswer> answer(HttpRequest request);

private:
    // The token decides before anything of the request is looked at.
    [[nodiscard]] std::optional<HttpAnswer> refusal(const HttpRequest& request) const;
    Task<HttpAnswer> dispatch(agent::Request request);
    Task<HttpAnswer> power_down();
    Task<HttpAnswer> expire(agent::Parameters parameters);

    Loop& loop_;
    Processes& processes_;
    const Settings& settings_;
    HookPlugins& plugins_;
    Hooks hooks_;
    Session session_;
    HttpServer server_;
    std::uint64_t refused_calls_ = 0;
};

}  // namespace qvd::vma
