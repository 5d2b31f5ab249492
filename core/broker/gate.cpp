#include "broker/gate.hpp"

#include "base/log.hpp"
#include "broker/keys.hpp"
#include "model/user.hpp"
#include "plugin/keys.hpp"

namespace qvd::broker {

namespace {

// What a client learns of a refusal: never which part was wrong.
Error unauthorized() {
    return {ErrorKind::denied, "auth.refused", "Invalid login or password"};
}

}  // namespace

Async<std::shared_ptr<plugin::Login>> Gate::identify(std::shared_ptr<Conversation> client,
                                                     plugin::LoginRequest request) {
    const net::Request& head = client->request();
    const auto authorization = header(head.headers, "Authorization");
    const auto known = known_.find(head.connection);
    if (known != known_.end() && authorization &&
        known->second.authorization.equals(*authorization))
        co_return known->second.login;
    QVD_CO_TRY(const auto node, co_await this_node_as_it_is(context_));
    QVD_CO_TRY(auto login, co_await ask(client, node.node.id, std::move(request)));
    // Of a connection that has closed meanwhile nobody would tell us to forget it.
    if (client->interruption()) co_return *client->interruption();
    known_[head.connection] = Known{Secret{*authorization}, login};
    co_return login;
}

Async<std::shared_ptr<plugin::Login>> Gate::ask(std::shared_ptr<Conversation> client, NodeId node,
                                                plugin::LoginRequest request) {
    const std::string address = client->request().client_address;
    QVD_CO_TRY(Credentials credentials, parse_authorization(client->request().headers));
    std::string name =
        normalise_login(credentials.login, context_.view.get(plugin::login_case_sensitive));
    QVD_CO_TRY(const auto attempt,
               co_await context_.failed_logins.begin(address, std::move(name),
                                                     context_.view.get(failed_login_limit)));
    if (client->interruption()) co_return *client->interruption();
    (void)co_await context_.store.count(node, NodeCounter::auth_attempts, 1);
    const log::Fields who{
        {"user", credentials.login}, {"client", address}, {"trace", request.trace}};
    const auto login = co_await try_credentials(client, std::move(credentials), std::move(request));
    if (login.ok()) {
        attempt->succeeded();
        (void)co_await context_.store.count(node, NodeCounter::auth_ok, 1);
        log::info("auth.ok", who, "");
        co_return *login;
    }
    const Error& why = login.error();
    if (why.kind() != ErrorKind::denied) {
        log::warn("auth.unavailable", who, why.sentence() + "; the client got 503");
        co_return Error{ErrorKind::unavailable, "auth.unavailable",
                        "Authentication is not available, try again later"};
    }
    attempt->failed();
    log::warn("auth.refused", who, why.sentence());
    co_return unauthorized();
}

Async<std::shared_ptr<plugin::Login>> Gate::try_credentials(std::shared_ptr<Conversation> client,
                                                            Credentials credentials,
                                                            plugin::LoginRequest request) {
    const net::Request& head = client->request();
    plugin::LoginFacts facts{credentials.login, head.client_address,
                             shared_environment(head.headers)};
    const bool case_sensitive = context_.view.get(plugin::login_case_sensitive);
    auto chain = context_.authenticators;
    QVD_CO_TRY(auto login,
               co_await chain->identify(std::move(facts), std::move(credentials.password), request,
                                        case_sensitive));
    QVD_CO_CHECK(co_await chain->after_login(login, std::move(request)));
    QVD_CO_CHECK(co_await resolve_user(login));
    login->session_parameters["qvd.vm.user.name"] = login->name;
    co_return login;
}

Async<void> Gate::resolve_user(std::shared_ptr<plugin::Login> login) {
    if (login->user.value() != 0) co_return Result<void>{};
    QVD_CO_TRY(const auto user, co_await context_.store.user(login->name));
    if (!user)
        co_return Error{ErrorKind::denied, "auth.refused",
                        "the credentials are right, but there is no user " + login->name};
    login->user = user->id;
    co_return Result<void>{};
}

}  // namespace qvd::broker
