#include "broker/operator_front.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "broker/answer.hpp"
#include "broker/request.hpp"

#include <utility>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

// A plugin's call for its endpoints and a connection, with time to spare.
constexpr Milliseconds hkd_limit{30'000};
constexpr Milliseconds attach_limit{5'000};

class Errand {
public:
    Errand(Context& context, std::shared_ptr<Conversation> client)
        : context_(context), client_(std::move(client)) {}

    Async<ControlCalls::Outcome> run();
    asio::awaitable<void> relay(std::shared_ptr<UniqueFd> socket);
    [[nodiscard]] const Conversation& client() const { return *client_; }
    void answer(net::Reply reply);

private:
    [[nodiscard]] Result<void> check_manner() const;
    Async<void> check_role();
    Async<void> check_place();
    Async<void> audit(std::string operation);
    [[nodiscard]] std::string subject() const;

    Context& context_;
    std::shared_ptr<Conversation> client_;
    Operator who_;
    net::ControlRequest wanted_;
};

Result<void> Errand::check_manner() const {
    const net::Request& head = client_->request();
    if (!head.tls)
        return Error{ErrorKind::denied, "admin.tls", "Operators are let in over TLS only"};
    if (!asks_upgrade(head.headers, net::control_protocol))
        return Error{ErrorKind::unsupported, "admin.upgrade",
                     "Upgrade required: operators speak " + std::string(net::control_protocol)};
    return {};
}

// What was done, to what, from where.
std::string Errand::subject() const {
    const std::string from = "from " + client_->request().client_address;
    return wanted_.vm.value() == 0 ? from : "vm " + wanted_.vm.text() + " " + from;
}

Async<void> Errand::audit(std::string operation) {
    co_return co_await context_.store.audit("operator " + who_.name, std::move(operation),
                                            subject());
}

Async<void> Errand::check_role() {
    const OperatorRole needed = role_for(wanted_.verb);
    if (who_.role >= needed) co_return Result<void>{};
    const std::string verb(to_string(wanted_.verb));
    QVD_CO_CHECK(co_await audit("admin " + verb + " refused"));
    co_return Error{ErrorKind::denied, "operator.role",
                    who_.name + " is " + std::string(to_string(who_.role)) + "; " + verb +
                        " needs the role " + std::string(to_string(needed))};
}

// Streams of a VM are where it runs; of one that is nowhere hkd knows what it left.
Async<void> Errand::check_place() {
    if (wanted_.vm.value() == 0) co_return Result<void>{};
    QVD_CO_TRY(const auto record, co_await context_.store.vm(wanted_.vm));
    if (!record)
        co_return Error{ErrorKind::not_found, "vm.not_found",
                        "there is no vm " + wanted_.vm.text()};
    if (!record->node_name.empty() && record->node_name != context_.node_name)
        co_return Error{
            ErrorKind::conflict, "vm.elsewhere",
            "vm " + wanted_.vm.text() + " is on the host " + record->node_name + ": ask there"};
    co_return Result<void>{};
}

Async<ControlCalls::Outcome> Errand::run() {
    QVD_CO_CHECK(check_manner());
    QVD_CO_TRY(who_, co_await context_.operators.identify(context_, client_));
    const std::string_view target =
        std::string_view(client_->request().target).substr(net::admin_path.size());
    QVD_CO_TRY(wanted_, net::parse_control_target(target));
    QVD_CO_CHECK(co_await check_role());
    QVD_CO_CHECK(co_await check_place());
    // What cannot be written down is not done.
    QVD_CO_CHECK(co_await audit("admin " + std::string(to_string(wanted_.verb))));
    if (client_->interruption()) co_return *client_->interruption();
    net::ControlCall call;
    call.verb = static_cast<std::uint8_t>(wanted_.verb);
    call.vm = wanted_.vm.value();
    call.parameters = wanted_.parameters;
    call.caller = who_.name;
    co_return co_await context_.control.ask(std::move(call), hkd_limit);
}

void Errand::answer(net::Reply reply) {
    reply.close = true;  // one upgrade, one verb
    client_->reply(std::move(reply));
}

asio::awaitable<void> Errand::relay(std::shared_ptr<UniqueFd> socket) {
    const OperatorStreams::Open open(context_.operator_streams, who_.name, role_for(wanted_.verb),
                                     client_);
    // What changed while hkd was asked, nobody has heard here.
    co_await context_.operator_streams.check(context_.store);
    if (client_->interruption()) co_return answer(error_reply(*client_->interruption()));
    const auto attached = co_await client_->attach(std::move(socket), attach_limit);
    if (!attached.ok()) {
        answer(error_reply(attached.error()));
        co_return;
    }
    if (client_->interruption()) co_return answer(error_reply(*client_->interruption()));
    const log::Fields what{{"operator", who_.name},
                           {"verb", to_string(wanted_.verb)},
                           {"vm", wanted_.vm},
                           {"trace", client_->holder()}};
    log::info("operator.stream", what, "");
    std::string owner = to_text({who_.name, role_for(wanted_.verb)});
    const net::Ended ended =
        co_await client_->relay(Secret{}, std::string(net::control_protocol), std::move(owner));
    log::info("operator.stream_ended", what, ended.reason);
}

}  // namespace

OperatorRole role_for(net::ControlVerb verb) {
    if (verb == net::ControlVerb::collect) return OperatorRole::administrator;
    return net::is_stream(verb) ? OperatorRole::attendant : OperatorRole::observer;
}

asio::awaitable<void> serve_operator(Context& context, std::shared_ptr<Conversation> client) {
    Errand errand(context, std::move(client));
    auto outcome = co_await errand.run();
    if (!outcome.ok()) {
        log::info("operator.request_refused",
                  {{"code", outcome.error().code()}, {"trace", errand.client().holder()}},
                  outcome.error().sentence());
        errand.answer(error_reply(outcome.error()));
    } else if (outcome->socket) {
        co_await errand.relay(std::move(outcome->socket));
    } else {
        errand.answer(std::move(outcome->reply));
    }
}

}  // namespace qvd::broker
