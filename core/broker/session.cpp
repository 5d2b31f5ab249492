#include "broker/session.hpp"

#include "base/log.hpp"
#include "broker/abortable.hpp"
#include "broker/keys.hpp"
#include "broker/takeover.hpp"
#include "broker/vms.hpp"

namespace qvd::broker {

namespace {

// Connecting to the NX port, the retries of protocol B5.1 included.
constexpr Milliseconds link_limit{15'000};
constexpr std::size_t slave_key_length = 64;

// Owns what it asks: it may outlive the story.
Async<void> ask_before_connect(std::shared_ptr<plugin::Authenticators> chain,
                               std::shared_ptr<plugin::Login> login, plugin::LoginRequest request,
                               store::VmRecord record) {
    co_return co_await chain->before_connect(std::move(login), std::move(request),
                                             std::move(record));
}

}  // namespace

Async<void> SessionStory::run() {
    request_.kind = QVD_REQUEST_CONNECT;
    request_.trace = client_->holder();
    request_.parameters = target_.parameters;
    QVD_CO_TRY(login_, co_await gate_.identify(client_, request_));
    times_.done("login_us");
    QVD_CO_CHECK(co_await check_request());
    QVD_CO_CHECK(co_await find_vm(context_, wanted_.vm, login_, request_));
    store::NewSession wanted{wanted_.vm, login_->user, client_->request().client_address, node_,
                             client_->holder()};
    QVD_CO_TRY(const Session session, co_await take_over(context_, client_, std::move(wanted)));
    times_.done("takeover_us");
    co_return co_await serve(session);
}

Async<void> SessionStory::check_request() {
    QVD_CO_TRY(const auto node, co_await this_node(context_));
    node_ = node.node.id;
    if (!asks_upgrade(client_->request().headers, "QVD/1.0"))
        co_return Error{ErrorKind::unsupported, "request.upgrade",
                        "Upgrade required: this client does not speak QVD/1.0"};
    QVD_CO_TRY(wanted_, parse_connect_parameters(target_));
    request_.vm = wanted_.vm;
    request_.parameters = wanted_.session;
    co_return Result<void>{};
}

// From here on there is a row: whatever happens, it ends with this function.
Async<void> SessionStory::serve(Session session) {
    SessionHold hold(context_, session, client_);
    const auto connected = co_await connect(session, hold);
    std::string reason = connected.ok() ? "ended" : connected.error().sentence();
    co_await hold.end(std::move(reason));
    co_return connected;
}

Async<void> SessionStory::connect(Session session, SessionHold& hold) {
    const VmId vm = session.vm;
    QVD_CO_CHECK(co_await context_.store.set_real_user(vm, login_->user));
    const Deadline deadline = Deadline::in(context_.clock, context_.view.get(vm_start_timeout));
    const Consent consent = plugins_consent();
    QVD_CO_CHECK(co_await place(context_, client_, vm, deadline, consent));
    QVD_CO_CHECK(co_await await_running(context_, client_, vm, deadline));
    times_.done("vm_us");
    Secret slave_key = random_alphanumeric(slave_key_length);
    QVD_CO_TRY(Properties parameters, co_await session_parameters(slave_key));
    times_.done("parameters_us");
    QVD_CO_TRY(Screen screen, co_await find_screen(context_, vm));
    hold.asked(screen.agent);
    auto starting = start_session(context_, client_, vm, screen.agent, std::move(parameters));
    QVD_CO_CHECK(co_await abortable(client_, std::move(starting)));
    co_return co_await hand_over(session, hold, std::move(screen), std::move(slave_key));
}

Consent SessionStory::plugins_consent() {
    return [this](store::VmRecord record) { return call_before_connect(std::move(record)); };
}

Async<void> SessionStory::call_before_connect(store::VmRecord record) {
    times_.done("place_us");
    auto asking = ask_before_connect(context_.authenticators, login_, request_, std::move(record));
    const auto asked = co_await abortable(client_, std::move(asking));
    times_.done("before_connect_us");
    co_return asked;
}

// Later ones override earlier ones (behaviour 3.3.10).
Async<Properties> SessionStory::session_parameters(const Secret& slave_key) {
    Properties parameters = wanted_.session;
    QVD_CO_TRY(const Properties own, co_await context_.store.session_properties(wanted_.vm));
    for (const auto& [key, value] : own) parameters[key] = value;
    for (const auto& [key, value] : login_->session_parameters) parameters[key] = value;
    parameters["qvd.slave.key"] = std::string(slave_key.reveal());
    parameters["qvd.vm.id"] = wanted_.vm.text();
    co_return parameters;
}

Async<void> SessionStory::hand_over(Session session, SessionHold& hold, Screen screen,
                                    Secret slave_key) {
    times_.done("agent_us");
    client_->progress("Connecting X session for VM_ID: " + session.vm.text());
    (void)co_await context_.store.count(node_, NodeCounter::nx_attempts, 1);
    QVD_CO_CHECK(co_await client_->link(screen.address, screen.port, link_limit));
    (void)co_await context_.store.count(node_, NodeCounter::nx_ok, 1);
    QVD_CO_CHECK(co_await context_.store.session_connected(session.id));
    client_->progress("Connection established");
    times_.done("link_us");
    // Since the link another client may have come, or this one have left: no relay ends then.
    if (client_->interruption()) co_return *client_->interruption();
    log_connected(session);
    hold.taken();
    const net::Ended ended = co_await client_->relay(std::move(slave_key));
    log::info("session.ended",
              {{"session", session.id},
               {"vm", session.vm},
               {"ms", ended.milliseconds},
               {"down", ended.bytes_down},
               {"up", ended.bytes_up},
               {"trace", request_.trace}},
              ended.reason);
    co_return co_await account(ended);
}

void SessionStory::log_connected(const Session& session) const {
    log::Fields fields{{"session", session.id},
                       {"vm", session.vm},
                       {"user", login_->name},
                       {"client", client_->request().client_address},
                       {"trace", request_.trace}};
    fields.insert(fields.end(), times_.fields().begin(), times_.fields().end());
    log::info("session.connected", fields, "");
}

Async<void> SessionStory::account(net::Ended ended) {
    const Milliseconds lasted{static_cast<std::int64_t>(ended.milliseconds)};
    if (lasted < context_.view.get(short_session))
        (void)co_await context_.store.count(node_, NodeCounter::short_sessions, 1);
    co_return Result<void>{};
}

}  // namespace qvd::broker
