#include "broker/operator_gate.hpp"

#include "base/log.hpp"
#include "broker/context.hpp"
#include "broker/conversation.hpp"
#include "broker/keys.hpp"
#include "broker/request.hpp"
#include "model/password.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

asio::awaitable<bool> verify(Secret hash, Secret password) {
    // Upstream's hashes were never operators'.
    const bool ours = hash.empty() || hash.reveal().starts_with("$argon2");
    co_return verify_password(ours ? hash : Secret{}, password, {}).matches;
}

Error unavailable() {
    return {ErrorKind::unavailable, "auth.unavailable",
            "Authentication is not available, try again later"};
}

}  // namespace

asio::awaitable<bool> OperatorGate::matches(Secret hash, Secret password) {
    if (!hashing_) hashing_ = std::make_unique<asio::thread_pool>(1);
    auto verifying = verify(std::move(hash), std::move(password));
    co_return co_await asio::co_spawn(hashing_->get_executor(), std::move(verifying),
                                      asio::use_awaitable);
}

asio::awaitable<Result<Operator>> OperatorGate::identify(Context& context,
                                                         std::shared_ptr<Conversation> client) {
    const std::string address = client->request().client_address;
    QVD_CO_TRY(Credentials credentials, parse_authorization(client->request().headers));
    // No login of a user has a line end: what an operator gets wrong or right does not count for a
    // user of his name.
    std::string counted_as = "operator\n" + credentials.login;
    QVD_CO_TRY(const auto attempt,
               co_await context.failed_logins.begin(address, std::move(counted_as),
                                                    context.view.get(failed_login_limit)));
    const log::Fields who{
        {"operator", credentials.login}, {"client", address}, {"trace", client->holder()}};
    const auto access = co_await context.store.operator_access(credentials.login);
    if (!access.ok()) {
        log::warn("operator.unavailable", who, access.error().sentence());
        co_return unavailable();
    }
    // An unknown name takes as long as a wrong password.
    Secret hash = *access ? (*access)->password_hash : Secret{};
    const bool right = co_await matches(std::move(hash), std::move(credentials.password));
    if (!right || !*access) {
        attempt->failed();
        log::warn("operator.refused", who,
                  *access ? "wrong password" : "there is no such operator");
        co_return Error{ErrorKind::denied, "auth.refused", "Invalid name or password"};
    }
    attempt->succeeded();
    if ((*access)->who.blocked) {
        log::warn("operator.refused", who, "he is blocked");
        co_return Error{ErrorKind::denied, "operator.blocked", "This operator is blocked"};
    }
    co_return (*access)->who;
}

}  // namespace qvd::broker
