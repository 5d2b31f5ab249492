#include "broker/stranded.hpp"

#include "base/log.hpp"
#include "broker/keys.hpp"
#include "broker/placement.hpp"
#include "store/answers.hpp"

namespace qvd::broker {

namespace {

std::string why_given_up(const store::VmRecord& record, const Error& why) {
    const std::string node = "host " + record.node_name + " died before it began with this start";
    if (why.code() == "placement.none") return node + ", and no other host can take it now";
    return node + ": " + why.sentence();
}

// Whether its start is ordered, and no node has taken it yet.
bool awaits_its_node(const VmRuntime& runtime) {
    return (runtime.state == VmState::stopped || runtime.state == VmState::failed) &&
           runtime.command == VmCommand::start && runtime.node;
}

// Orders such a start to another node. conflict "vm.not_stranded": there is none, or its node
// lives; unavailable, as placement has it: no other node takes it, and "vm.checkpoint_away": it
// goes back to a checkpoint that only the dead node has.
Async<void> place_elsewhere(Context& context, VmId vm) {
    QVD_CO_TRY(auto record, co_await context.store.vm(vm));
    if (!record || !awaits_its_node(record->runtime)) co_return store::answers::not_stranded(vm);
    QVD_CO_TRY(const auto node, co_await context.store.node(record->node_name));
    if (!node || !node->silence || *node->silence <= node_silence)
        co_return store::answers::not_stranded(vm);
    if (record->runtime.from_checkpoint)
        co_return Error{ErrorKind::unavailable, "vm.checkpoint_away",
                        "the checkpoint that it is to go back to is there"};
    co_return co_await order_elsewhere(context.store, context.balancer, std::move(*record));
}

Async<void> answer_for_its_node(store::Store& store, VmId vm) {
    QVD_CO_TRY(const auto record, co_await store.vm(vm));
    if (!record || !record->runtime.node) co_return store::answers::not_stranded(vm);
    std::string why = "host " + record->node_name + " died before it answered";
    log::warn("vm.order_given_up", {{"vm", vm}}, why);
    const NodeId node = record->runtime.node.value();
    co_return co_await store.give_up_order(vm, node, std::move(why));
}

}  // namespace

boost::asio::awaitable<void> StrandedOrders::keep_looking() {
    while (!stopping_) {
        const Result<void> looked = co_await look();
        // Whoever needs the database says that it is away.
        if (!looked.ok()) {
            hopeless_.clear();
            unanswered_.clear();
        }
        if (!stopping_) co_await stopped_.wait(context_.view.get(stranded_delay));
    }
}

void StrandedOrders::stop() {
    stopping_ = true;
    stopped_.notify();
}

Async<void> StrandedOrders::look() {
    QVD_CO_CHECK(co_await look_for_starts());
    co_return co_await look_for_others();
}

// ---- starts --------------------------------------------------------------------------------

Async<void> StrandedOrders::look_for_starts() {
    QVD_CO_TRY(const std::vector<VmId> stranded, co_await context_.store.stranded_starts());
    std::set<VmId> left;
    for (const VmId vm : stranded) {
        QVD_CO_TRY(const bool is_left, co_await see_to_start(vm));
        if (is_left) left.insert(vm);
    }
    hopeless_ = std::move(left);
    co_return Result<void>{};
}

Async<bool> StrandedOrders::see_to_start(VmId vm) {
    const Result<void> moved = co_await place_elsewhere(context_, vm);
    if (moved.ok() || moved.error().code() == "vm.not_stranded") co_return false;
    if (moved.error().code() == "store.down") co_return moved.error();
    if (!hopeless_.contains(vm)) co_return true;
    QVD_CO_TRY(const auto record, co_await context_.store.vm(vm));
    if (!record || !awaits_its_node(record->runtime)) co_return false;
    std::string why = why_given_up(*record, moved.error());
    log::warn("vm.start_given_up", {{"vm", vm}, {"code", moved.error().code()}}, why);
    const NodeId node = record->runtime.node.value();
    const Result<void> given_up = co_await context_.store.give_up_start(vm, node, std::move(why));
    if (!given_up.ok() && given_up.error().code() != "vm.not_stranded") co_return given_up.error();
    co_return false;
}

// ---- other orders --------------------------------------------------------------------------

Async<void> StrandedOrders::look_for_others() {
    QVD_CO_TRY(const std::vector<VmId> all, co_await context_.store.stranded_orders());
    std::set<VmId> left;
    for (const VmId vm : all) {
        if (!unanswered_.contains(vm)) {
            left.insert(vm);
            continue;
        }
        const Result<void> answered = co_await answer_for_its_node(context_.store, vm);
        if (!answered.ok() && answered.error().code() == "store.down") co_return answered;
    }
    unanswered_ = std::move(left);
    co_return Result<void>{};
}

}  // namespace qvd::broker
