#include "store/memory/tables.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace qvd::store::memory {

void Tables::announce(const Announcement& announcement) {
    if (down) return;
    boost::asio::post(executor, [self = shared_from_this(), announcement] {
        std::erase_if(self->ears, [](const auto& ear) { return ear.expired(); });
        // A copy: whoever hears may listen anew.
        const auto copy = self->ears;
        for (const auto& weak : copy)
            if (const auto ear = weak.lock()) ear->hear(announcement);
    });
}

void Tables::announce_state(const VmRow& row) {
    announce({Announcement::What::vm_state, row.vm.id, row.runtime.node.value_or(NodeId{})});
}

void Tables::announce_command(const VmRow& row) {
    announce({Announcement::What::vm_command, row.vm.id, row.runtime.node.value_or(NodeId{})});
}

void Tables::announce_vms() {
    announce({Announcement::What::vms, {}, {}});
}

Result<VmRow*> Tables::vm(VmId id) {
    const auto found = vms.find(id);
    if (found == vms.end()) return answers::missing("vm", id.value());
    return &found->second;
}

Result<VmRow*> Tables::vm(VmId id, std::int64_t incarnation) {
    QVD_TRY(VmRow* const row, vm(id));
    if (row->runtime.incarnation != incarnation)
        return answers::conflict("vm.superseded", "vm " + id.text() + " has been started anew");
    return row;
}

Result<NodeRow*> Tables::node(NodeId id) {
    const auto found = nodes.find(id);
    if (found == nodes.end()) return answers::missing("node", id.value());
    return &found->second;
}

Session* Tables::live_session(VmId vm) {
    for (auto& [id, session] : sessions)
        if (session.vm == vm && session.state != SessionState::disconnected) return &session;
    return nullptr;
}

void Tables::end(Session& session) {
    if (session.state == SessionState::connected) announce_vms();
    session.state = SessionState::disconnected;
    session.since = now();
    announce({Announcement::What::session_end, session.vm, session.node});
}

DiRow* Tables::tagged(OsfId osf, const std::string& tag) {
    for (auto& [id, row] : dis)
        if (row.di.osf == osf &&
            std::ranges::any_of(row.di.tags, [&](const DiTag& t) { return t.tag == tag; }))
            return &row;
    return nullptr;
}

double Tables::reserved_mib(NodeId node) const {
    double sum = 0;
    for (const auto& [id, row] : vms)
        if (row.reservation && row.reservation->node == node &&
            (!row.reservation->until || *row.reservation->until > now()))
            sum += row.reservation->mib;
    return sum;
}

Result<void> Tables::check_room(const NodeRow& node, double needed_mib) const {
    const NodeRuntime& runtime = node.runtime;
    if (runtime.state != NodeState::running || runtime.blocked)
        return answers::node_unavailable(node.node.name,
                                         runtime.blocked ? "blocked" : to_string(runtime.state));
    if (reserved_mib(node.node.id) + needed_mib > runtime.load.memory_total_mib)
        return answers::node_full(node.node.name);
    return {};
}

VmRecord Tables::record(const VmRow& row) {
    VmRecord record;
    record.vm = row.vm;
    record.runtime = row.runtime;
    record.user = users.at(row.vm.user).user;
    record.osf = osfs.at(row.vm.osf).osf;
    if (row.runtime.node) record.node_name = nodes.at(*row.runtime.node).node.name;
    if (const Session* const session = live_session(row.vm.id)) {
        record.session = *session;
        if (const auto holder = nodes.find(session->node); holder != nodes.end())
            record.session_node_name = holder->second.node.name;
    }
    if (row.runtime.real_user) record.real_user_login = users.at(*row.runtime.real_user).user.login;
    const auto untagged = [](Di di) {
        di.tags.clear();
        return di;
    };
    if (const DiRow* const di = tagged(row.vm.osf, row.vm.di_tag)) record.di = untagged(di->di);
    if (row.runtime.current_di) record.current_di = untagged(dis.at(*row.runtime.current_di).di);
    record.checkpoint = row.checkpoint;
    if (record.checkpoint) record.checkpoint->node_name = nodes.at(row.checkpoint->node).node.name;
    record.run_attempts = row.run_attempts;
    record.run_ok = row.run_ok;
    record.cpu_seconds = row.usage.cpu_seconds;
    record.cpu_cores = row.cpu_cores;
    record.memory_bytes = row.usage.memory_bytes;
    record.pid = row.usage.pid;
    return record;
}

NodeRecord Tables::record(const NodeRow& row) const {
    NodeRecord record;
    record.node = row.node;
    record.runtime = row.runtime;
    record.counters = row.counters;
    record.properties = row.properties;
    if (row.runtime.seen)
        record.silence = std::max(
            std::chrono::milliseconds{0},
            std::chrono::duration_cast<std::chrono::milliseconds>(now() - *row.runtime.seen));
    record.reserved_mib = reserved_mib(row.node.id);
    record.vms = static_cast<int>(std::ranges::count_if(
        vms, [&](const auto& entry) { return entry.second.runtime.node == row.node.id; }));
    return record;
}

Properties Tables::merged(const VmRow& row, const DiRow* di) {
    Properties all = osfs.at(row.vm.osf).properties;
    const auto add = [&all](const Properties& later) {
        for (const auto& [key, value] : later) all.insert_or_assign(key, value);
    };
    if (di != nullptr) add(di->properties);
    add(users.at(row.vm.user).properties);
    add(row.properties);
    return all;
}

std::string new_uuid() {
    std::string hex(random_token(16).reveal());
    hex[12] = '4';
    hex[16] = 'a';
    for (const std::size_t at : {8U, 13U, 18U, 23U}) hex.insert(at, "-");
    return hex;
}

}  // namespace qvd::store::memory
