// qa host.
#include "admin/administration.hpp"
#include "admin/selection.hpp"
#include "admin/values.hpp"
#include "hkd/network/addresses.hpp"

namespace qvd::admin {

namespace {

constexpr std::size_t longest_host = 127;

}  // namespace

Async<NodeId> Administration::add_host(std::string name, std::string address) {
    QVD_CO_TRY(const std::string trimmed, checked_name("host", name, longest_host));
    QVD_CO_CHECK(hkd::network::parse_ipv4(address));
    QVD_CO_TRY(const NodeId id, co_await store_.add_node(trimmed, address));
    co_await audit("host add", trimmed);
    co_return id;
}

Async<Done> Administration::delete_hosts(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_hosts(std::move(filter)));
    Done done;
    for (const auto& host : selected) {
        const auto deleted = co_await store_.delete_node(host.record.node.id);
        if (skipped(done, "host " + host.record.node.name, deleted)) continue;
        QVD_CO_CHECK(deleted);
        co_await audit("host del", host.record.node.name);
        ++done.count;
    }
    co_return done;
}

Async<std::vector<Row>> Administration::hosts(Filter filter) {
    QVD_CO_TRY(auto selected, co_await select_hosts(std::move(filter)));
    co_return rows_of(std::move(selected));
}

Async<int> Administration::block_hosts(Filter filter, bool blocked) {
    QVD_CO_TRY(const auto selected, co_await select_hosts(std::move(filter)));
    int count = 0;
    for (const auto& host : selected) {
        QVD_CO_CHECK(co_await store_.set_node_blocked(host.record.node.id, blocked));
        co_await audit(blocked ? "host block" : "host unblock", host.record.node.name);
        ++count;
    }
    co_return count;
}

}  // namespace qvd::admin
