#include "broker/placement.hpp"

#include "base/log.hpp"
#include "broker/abortable.hpp"
#include "broker/vm_watch.hpp"
#include "broker/vms.hpp"

#include <algorithm>
#include <utility>

namespace qvd::broker {

namespace {

// How often a lost race for a node is run again with a fresh look at the farm.
constexpr int max_attempts = 5;
// The answer to an order is announced; whoever waits for it looks so often all the same.
constexpr Milliseconds order_look{2'000};

bool may_take(const store::NodeRecord& node, double needed_mib) {
    const NodeRuntime& runtime = node.runtime;
    if (runtime.state != NodeState::running || runtime.blocked) return false;
    // It may be gone.
    if (!node.silence || *node.silence > node_silence) return false;
    return runtime.load.memory_free_mib - node.reserved_mib >= needed_mib;
}

Async<std::vector<store::NodeRecord>> candidates(store::Store& store, double needed_mib) {
    QVD_CO_TRY(auto nodes, co_await store.nodes());
    std::erase_if(nodes, [&](const auto& node) { return !may_take(node, needed_mib); });
    if (nodes.empty())
        co_return Error{ErrorKind::unavailable, "placement.none",
                        "No node can take the virtual machine now (it needs " +
                            std::to_string(static_cast<long>(needed_mib)) +
                            " MiB on a running node), retry later"};
    co_return nodes;
}

Async<plugin::PlacementQuestion> question_of(store::Store& store, store::VmRecord record) {
    plugin::PlacementQuestion question;
    question.needed_memory_mib = static_cast<double>(record.osf.memory_mib);
    using store::Owner;
    QVD_CO_TRY(auto nodes, co_await candidates(store, question.needed_memory_mib));
    question.candidates = std::make_shared<const std::vector<store::NodeRecord>>(std::move(nodes));
    QVD_CO_TRY(question.vm_properties, co_await store.properties(Owner::vm, record.vm.id.value()));
    QVD_CO_TRY(question.user_properties,
               co_await store.properties(Owner::user, record.vm.user.value()));
    QVD_CO_TRY(question.osf_properties,
               co_await store.properties(Owner::osf, record.vm.osf.value()));
    if (record.di) {
        QVD_CO_TRY(question.di_properties,
                   co_await store.properties(Owner::di, record.di->id.value()));
    }
    question.vm = std::move(record);
    co_return question;
}

// The node has changed since the balancer looked at it.
bool was_a_race(const Error& why) {
    return why.code() == "node.full" || why.code() == "node.unavailable";
}

// Owns what it asks: it may outlive the story.
Async<std::size_t> ask_balancer(std::shared_ptr<plugin::Balancer> balancer,
                                plugin::PlacementQuestion question) {
    co_return co_await balancer->choose(std::move(question));
}

store::VmRecord placed_on(store::VmRecord record, const store::NodeRecord& node) {
    record.runtime.node = node.node.id;
    record.node_name = node.node.name;
    return record;
}

// Nobody is asked a second time.
Async<void> agreed(Consent consent, store::VmRecord record) {
    if (!consent) co_return Result<void>{};
    co_return co_await consent(std::move(record));
}

// A VM whose stop takes too long keeps its client from a start.
Error too_slow_for_a_start(const Error& why) {
    if (why.code() != "vm.stop_timeout") return why;
    return {ErrorKind::timeout, "vm.start_timeout", why.sentence() + ", retry later"};
}

// The node's answer to an order.
Async<void> answered(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                     std::int64_t order, Deadline deadline) {
    for (;;) {
        QVD_CO_TRY(const auto answer, co_await context.store.order_answer(vm, order));
        if (answer && answer->code.empty()) co_return Result<void>{};
        if (answer)
            co_return Error{ErrorKind::unavailable, "vm.not_resumed",
                            "The requested virtual machine does not come back: " + answer->text +
                                ", retry later"};
        if (deadline.passed())
            co_return Error{ErrorKind::timeout, "vm.start_timeout",
                            "The requested virtual machine did not come back in time, retry later"};
        QVD_CO_CHECK(co_await client->pause(std::min(order_look, deadline.remaining())));
    }
}

// A VM that stands still or is suspended comes back where it is. "vm.state": it has left that state
// meanwhile.
Async<void> wake(Context& context, std::shared_ptr<Conversation> client, store::VmRecord record,
                 Deadline deadline) {
    const VmId vm = record.vm.id;
    const bool paused = record.runtime.state == VmState::paused;
    client->progress(paused ? "Waking virtual machine" : "Resuming virtual machine");
    const VmWatch::Interest interest(context.vms, vm, client);
    std::string nothing;
    const auto order = co_await context.store.order(
        vm, paused ? VmCommand::unpause : VmCommand::resume, std::move(nothing));
    // Another order is under way: what it makes of the VM is seen then.
    if (!order.ok() && order.error().code() == "vm.order_pending") {
        QVD_CO_CHECK(co_await client->pause(std::min(order_look, deadline.remaining())));
        co_return Error{ErrorKind::conflict, "vm.state", "another order is under way"};
    }
    if (!order.ok()) co_return order.error();
    co_return co_await answered(context, client, vm, *order, deadline);
}

}  // namespace

Async<void> order_start(store::Store& store, std::shared_ptr<plugin::Balancer> balancer,
                        store::VmRecord record, std::shared_ptr<Conversation> client,
                        Consent consent) {
    const VmId vm = record.vm.id;
    for (int attempt = 1;; ++attempt) {
        QVD_CO_TRY(plugin::PlacementQuestion question, co_await question_of(store, record));
        const auto nodes = question.candidates;
        auto choice = ask_balancer(balancer, std::move(question));
        if (client) choice = abortable(client, std::move(choice));
        QVD_CO_TRY(const std::size_t chosen, co_await std::move(choice));
        if (client && client->interruption()) co_return *client->interruption();
        const store::NodeRecord& node = nodes->at(chosen);
        auto agreeing = agreed(std::exchange(consent, nullptr), placed_on(record, node));
        QVD_CO_CHECK(co_await std::move(agreeing));
        const auto ordered = co_await store.order_start(vm, node.node.id);
        if (ordered.ok()) {
            log::info("vm.placed", {{"vm", vm}, {"node", node.node.name}},
                      "balancer " + balancer->name());
            co_return Result<void>{};
        }
        const Error& why = ordered.error();
        // Somebody else ordered its start meanwhile: then it is being started, which was wanted.
        if (why.code() == "vm.not_stopped") co_return Result<void>{};
        if (attempt == max_attempts || !was_a_race(why)) co_return why;
    }
}

Async<void> order_elsewhere(store::Store& store, std::shared_ptr<plugin::Balancer> balancer,
                            store::VmRecord record) {
    for (int attempt = 1;; ++attempt) {
        QVD_CO_TRY(plugin::PlacementQuestion question, co_await question_of(store, record));
        const auto nodes = question.candidates;
        auto choice = ask_balancer(balancer, std::move(question));
        QVD_CO_TRY(const std::size_t chosen, co_await std::move(choice));
        const Node& node = nodes->at(chosen).node;
        const auto moved =
            co_await store.move_start(record.vm.id, record.runtime.node.value(), node.id);
        if (moved.ok())
            log::info("vm.placed_elsewhere",
                      {{"vm", record.vm.id}, {"node", node.name}, {"from", record.node_name}},
                      record.node_name + " died before it took this start");
        if (moved.ok() || attempt == max_attempts || !was_a_race(moved.error())) co_return moved;
    }
}

Async<void> place(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                  Deadline deadline, Consent consent) {
    for (;;) {
        QVD_CO_TRY(const auto record, co_await context.store.vm(vm));
        if (!record)
            co_return Error{ErrorKind::not_found, "vm.not_found",
                            "The requested virtual machine does not exist"};
        switch (record->runtime.state) {
            case VmState::running:
            case VmState::starting:
            case VmState::debug:
                co_return co_await agreed(consent, *record);
            case VmState::stopping:
            case VmState::zombie: {
                const auto stopped = co_await await_stopped(context, client, vm, deadline);
                if (!stopped.ok()) co_return too_slow_for_a_start(stopped.error());
                continue;
            }
            case VmState::paused:
            case VmState::suspended: {
                auto agreeing = agreed(std::exchange(consent, nullptr), *record);
                QVD_CO_CHECK(co_await std::move(agreeing));
                const auto woken = co_await wake(context, client, *record, deadline);
                if (woken.ok() || woken.error().code() != "vm.state") co_return woken;
                continue;
            }
            default:
                break;
        }
        if (record->runtime.command) co_return co_await agreed(consent, *record);
        client->progress("Assigning VM " + vm.text() + " to host");
        co_return co_await order_start(context.store, context.balancer, *record, client, consent);
    }
}

}  // namespace qvd::broker
