#include "broker/front.hpp"

#include "base/log.hpp"
#include "broker/answer.hpp"
#include "broker/keys.hpp"
#include "broker/operator_front.hpp"
#include "broker/request.hpp"
#include "broker/session.hpp"
#include "broker/spawn.hpp"
#include "broker/vms.hpp"
#include "net/control.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds count_pause{1};
constexpr std::string_view connect_path = "/qvd/connect_to_vm";

Async<net::Reply> ping(Context& context) {
    QVD_CO_CHECK(co_await this_node(context));
    co_return text_reply(200, "I am alive!");
}

plugin::LoginRequest login_request(const Conversation& client, const Target& target,
                                   qvd_login_request kind) {
    plugin::LoginRequest request;
    request.kind = kind;
    request.parameters = target.parameters;
    request.trace = client.holder();
    return request;
}

// What a plugin listed, in its order and under its names.
Async<std::vector<store::VmRecord>> listed_vms(Context& context,
                                               std::vector<plugin::ListedVm> listed) {
    std::vector<store::VmRecord> vms;
    for (const plugin::ListedVm& entry : listed) {
        QVD_CO_TRY(auto record, co_await context.store.vm(entry.vm));
        if (!record) continue;
        if (!entry.name.empty()) record->vm.name = entry.name;
        vms.push_back(std::move(*record));
    }
    co_return vms;
}

Async<net::Reply> list_of_vm(Context& context, Gate& gate, std::shared_ptr<Conversation> client,
                             Target target) {
    const auto request = login_request(*client, target, QVD_REQUEST_LIST_VMS);
    QVD_CO_TRY(const auto login, co_await gate.identify(client, request));
    QVD_CO_CHECK(co_await this_node(context));
    auto chain = context.authenticators;
    QVD_CO_TRY(auto listed, co_await chain->list_vms(login, request));
    std::vector<store::VmRecord> vms;
    if (listed) {
        QVD_CO_TRY(vms, co_await listed_vms(context, std::move(*listed)));
    } else {
        QVD_CO_TRY(vms, co_await context.store.vms_of(login->user));
    }
    co_return vm_list_reply(vms);
}

Async<net::Reply> stop_vm(Context& context, Gate& gate, std::shared_ptr<Conversation> client,
                          Target target) {
    auto request = login_request(*client, target, QVD_REQUEST_STOP_VM);
    QVD_CO_TRY(const auto login, co_await gate.identify(client, request));
    QVD_CO_CHECK(co_await this_node(context));
    QVD_CO_TRY(request.vm, parse_vm_id(target));
    QVD_CO_TRY(const auto record, co_await find_vm(context, request.vm, login, request));
    const VmState state = record.runtime.state;
    const bool down = state == VmState::stopped || state == VmState::failed;
    if (down && !record.runtime.command) co_return text_reply(200, "Machine stopped");
    // Those two are shown to clients as stopped, and what a suspended one remembers is only an
    // operator's to discard.
    if (state == VmState::zombie || state == VmState::paused || state == VmState::suspended)
        co_return Error{ErrorKind::unavailable, "vm.unstoppable",
                        "The requested virtual machine is in an unstoppable state (" +
                            std::string(to_string(state)) + ")"};
    client->progress("Stopping virtual machine");
    if (state != VmState::stopping) {
        const auto ordered = co_await context.store.order_stop(request.vm);
        if (!ordered.ok() && ordered.error().code() != "vm.not_running") co_return ordered.error();
    }
    const Deadline deadline = Deadline::in(context.clock, context.view.get(vm_stop_timeout));
    QVD_CO_CHECK(co_await await_stopped(context, client, request.vm, deadline));
    co_return text_reply(200, "Machine stopped");
}

asio::awaitable<void> connect_to_vm(Context& context, Gate& gate,
                                    std::shared_ptr<Conversation> client, Target target) {
    SessionStory story(context, gate, client, std::move(target));
    const auto told = co_await story.run();
    if (told.ok()) co_return;
    net::Reply reply = error_reply(told.error());
    reply.upgrade_failed = true;
    client->reply(std::move(reply));
    log::info("session.refused", {{"code", told.error().code()}, {"trace", client->holder()}},
              told.error().sentence());
}

// A client that wants to connect reads a refusal in two records, or to the end of the connection
// (protocol A3), whatever is refused.
bool wants_to_connect(const Conversation& client) {
    const std::string_view target = client.request().target;
    return target.substr(0, target.find('?')) == connect_path;
}

void send(Conversation& client, Result<net::Reply> reply) {
    if (reply.ok()) return client.reply(std::move(reply).value());
    log::info("request.refused", {{"code", reply.error().code()}, {"trace", client.holder()}},
              reply.error().sentence());
    net::Reply refusal = error_reply(reply.error());
    refusal.upgrade_failed = wants_to_connect(client);
    client.reply(std::move(refusal));
}

// Writes at most once a second, and ends when there is nothing more to write.
asio::awaitable<void> count_requests(Context& context) {
    context.counting_requests = true;
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer pause(executor);
    while (context.uncounted_requests > 0) {
        const auto number = std::exchange(context.uncounted_requests, 0);
        const auto node = co_await this_node_as_it_is(context);
        if (node.ok())
            (void)co_await context.store.count(node->node.id, NodeCounter::http_requests,
                                               static_cast<int>(number));
        pause.expires_after(count_pause);
        (void)co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    context.counting_requests = false;
}

// What users ask: each counts, and waits for a node that is still being configured.
asio::awaitable<void> serve_user(Context& context, Gate& gate, std::shared_ptr<Conversation> client,
                                 Target target) {
    ++context.uncounted_requests;
    if (!context.counting_requests) {
        const auto executor = co_await asio::this_coro::executor;
        spawn_contained(executor, count_requests(context));
    }
    const auto configured = co_await await_configured(context);
    if (!configured.ok()) {
        send(*client, configured.error());
        co_return;
    }
    if (target.path == connect_path) {
        co_await connect_to_vm(context, gate, client, std::move(target));
    } else if (target.path == "/qvd/list_of_vm") {
        auto reply = co_await list_of_vm(context, gate, client, std::move(target));
        send(*client, std::move(reply));
    } else {
        auto reply = co_await stop_vm(context, gate, client, std::move(target));
        send(*client, std::move(reply));
    }
}

asio::awaitable<void> route(Context& context, Gate& gate, std::shared_ptr<Conversation> client) {
    auto target = parse_target(client->request().target);
    if (!target.ok()) {
        send(*client, target.error());
        co_return;
    }
    const std::string path = target->path;
    if (client->request().method != "GET") {
        send(*client, Error{ErrorKind::invalid, "request.method", "Only GET is understood here"});
        co_return;
    }
    if (path == "/qvd/ping") {
        auto reply = co_await ping(context);
        send(*client, std::move(reply));
        co_return;
    }
    // Before all that plugins and the node's state may hinder: operators mend it.
    if (path.starts_with(net::admin_path)) {
        co_await serve_operator(context, client);
        co_return;
    }
    const bool counted =
        path == "/qvd/list_of_vm" || path == connect_path || path == "/qvd/stop_vm";
    if (!counted) {
        send(*client, Error{ErrorKind::not_found, "request.path", "There is nothing here"});
        co_return;
    }
    co_await serve_user(context, gate, client, std::move(*target));
}

}  // namespace

asio::awaitable<void> answer(Context& context, Gate& gate, std::shared_ptr<Conversation> client) {
    std::string broken;
    try {
        co_await route(context, gate, client);
    } catch (const std::exception& problem) {
        broken = problem.what();
    }
    if (broken.empty()) co_return;
    log::error("request.broken", {{"trace", client->holder()}}, broken);
    send(*client, Error{ErrorKind::internal, "internal", "An internal error occurred"});
}

}  // namespace qvd::broker
