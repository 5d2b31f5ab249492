#include "store/checks.hpp"
#include "store/memory/tables.hpp"

namespace qvd::store {

namespace {

using memory::NodeRow;

Result<NodeRow*> claimed(memory::Tables& tables, NodeId node, std::int64_t lease_epoch) {
    QVD_TRY(NodeRow* const row, tables.node(node));
    if (row->runtime.lease_epoch != lease_epoch)
        return answers::conflict("node.superseded",
                                 "another hkd has claimed host " + row->node.name + " since");
    return row;
}

}  // namespace

Async<NodeId> MemoryStore::add_node(std::string name, std::string address) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(checks::name("node.name", name, 127));
    QVD_CO_CHECK(checks::address(address));
    for (const auto& [id, row] : tables_->nodes) {
        if (row.node.name == name) co_return answers::violated("nodes_name_key");
        if (row.node.address == address) co_return answers::violated("nodes_address_key");
    }
    const NodeId id{tables_->next_id()};
    tables_->nodes[id].node = {id, memory::new_uuid(), std::move(name), std::move(address)};
    co_return id;
}

namespace {

Result<void> check_unused(const memory::Tables& tables, NodeId node) {
    for (const auto& [id, row] : tables.vms)
        if (row.runtime.node == node) return answers::violated("vm_runtimes_node_fkey", true);
    for (const auto& [id, session] : tables.sessions)
        if (session.node == node && session.state != SessionState::disconnected)
            return answers::violated("sessions_node_fkey", true);
    return {};
}

}  // namespace

Async<void> MemoryStore::delete_node(NodeId node) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(const NodeRow* const own, tables_->node(node));
    QVD_CO_CHECK(check_unused(*tables_, node));
    if (const NodeRuntime& runtime = own->runtime;
        runtime.seen && runtime.state != NodeState::stopped) {
        const auto age =
            std::chrono::duration_cast<std::chrono::seconds>(tables_->now() - *runtime.seen);
        if (age < node_silence) co_return answers::alive(own->node.name, age.count());
    }
    for (auto& [id, row] : tables_->vms) {
        if (row.runtime.last_node == node) row.runtime.last_node.reset();
        if (row.checkpoint && row.checkpoint->node == node) row.checkpoint.reset();
    }
    tables_->nodes.erase(node);
    co_return Result<void>{};
}

Async<std::vector<NodeRecord>> MemoryStore::nodes() {
    QVD_CO_CHECK(co_await ready());
    std::vector<NodeRecord> all;
    for (const auto& [id, row] : tables_->nodes) all.push_back(tables_->record(row));
    co_return all;
}

Async<std::optional<NodeRecord>> MemoryStore::node(std::string name) {
    QVD_CO_CHECK(co_await ready());
    for (const auto& [id, row] : tables_->nodes)
        if (row.node.name == name) co_return std::optional(tables_->record(row));
    co_return std::optional<NodeRecord>{};
}

Async<void> MemoryStore::set_node_blocked(NodeId node, bool blocked) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(NodeRow* const row, tables_->node(node));
    row->runtime.blocked = blocked;
    co_return Result<void>{};
}

Async<std::int64_t> MemoryStore::claim_node(NodeId node, std::string boot_id) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(NodeRow* const row, tables_->node(node));
    const bool up = row->runtime.state == NodeState::running && row->runtime.boot_id == boot_id &&
                    row->runtime.seen &&
                    *row->runtime.seen > tables_->now() - std::chrono::seconds(45);
    row->runtime.reason.clear();
    if (!up) {
        row->runtime.state = NodeState::starting;
        row->runtime.seen = tables_->now();
    }
    row->runtime.boot_id = std::move(boot_id);
    co_return ++row->runtime.lease_epoch;
}

Async<void> MemoryStore::set_node_state(NodeId node, std::int64_t lease_epoch, NodeState state,
                                        std::string reason) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(NodeRow* const row, claimed(*tables_, node, lease_epoch));
    row->runtime.state = state;
    row->runtime.reason = std::move(reason);
    co_return Result<void>{};
}

Async<void> MemoryStore::heartbeat(NodeId node, std::int64_t lease_epoch, NodeLoad load) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(NodeRow* const row, claimed(*tables_, node, lease_epoch));
    row->runtime.seen = tables_->now();
    row->runtime.load = load;
    co_return Result<void>{};
}

Async<void> MemoryStore::count(NodeId node, NodeCounter counter, int by) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(NodeRow* const row, tables_->node(node));
    NodeCounters& counters = row->counters;
    switch (counter) {
        case NodeCounter::http_requests:
            counters.http_requests += by;
            break;
        case NodeCounter::auth_attempts:
            counters.auth_attempts += by;
            break;
        case NodeCounter::auth_ok:
            counters.auth_ok += by;
            break;
        case NodeCounter::nx_attempts:
            counters.nx_attempts += by;
            break;
        case NodeCounter::nx_ok:
            counters.nx_ok += by;
            break;
        case NodeCounter::short_sessions:
            counters.short_sessions += by;
            break;
    }
    co_return Result<void>{};
}

}  // namespace qvd::store
