// The memory store: life, announcements, configuration, properties, audit.
#include "store/checks.hpp"
#include "store/memory/tables.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace qvd::store {

MemoryStore::MemoryStore(boost::asio::any_io_executor executor, Now now)
    : tables_(std::make_shared<memory::Tables>()) {
    tables_->executor = std::move(executor);
    tables_->now = std::move(now);
}

MemoryStore::~MemoryStore() {
    tables_->ears.clear();
}

void MemoryStore::fail_with_unavailable(bool down) {
    const bool back = tables_->down && !down;
    tables_->down = down;
    if (back) tables_->announce({});
}

std::vector<std::string> MemoryStore::audited() const {
    std::vector<std::string> lines;
    for (const AuditLine& line : tables_->audited)
        lines.push_back(line.who + " " + line.operation + " " + line.subject);
    return lines;
}

Async<void> MemoryStore::ready() {
    ++round_trips_;
    co_await boost::asio::post(tables_->executor, boost::asio::use_awaitable);
    if (tables_->down) co_return answers::down("the test has switched it off");
    co_return Result<void>{};
}

Store::Token MemoryStore::listen(std::function<void(const Announcement&)> hear) {
    auto ear = std::make_shared<memory::Ear>(memory::Ear{std::move(hear)});
    tables_->ears.emplace_back(ear);
    boost::asio::post(tables_->executor, [tables = tables_, weak = std::weak_ptr(ear)] {
        if (const auto self = weak.lock(); self && !tables->down) self->hear({});
    });
    return ear;
}

Async<std::map<std::string, std::string>> MemoryStore::configuration() {
    QVD_CO_CHECK(co_await ready());
    co_return tables_->configuration;
}

Async<void> MemoryStore::set_configuration(std::map<std::string, std::string> values) {
    QVD_CO_CHECK(co_await ready());
    for (const auto& [key, value] : values) QVD_CO_CHECK(checks::configured(key, value));
    for (auto& [key, value] : values) tables_->configuration.insert_or_assign(key, value);
    if (!values.empty()) tables_->announce({Announcement::What::configuration, {}, {}});
    co_return Result<void>{};
}

Async<int> MemoryStore::delete_configuration(std::vector<std::string> keys) {
    QVD_CO_CHECK(co_await ready());
    int deleted = 0;
    for (const std::string& key : keys)
        deleted += static_cast<int>(tables_->configuration.erase(key));
    if (deleted > 0) tables_->announce({Announcement::What::configuration, {}, {}});
    co_return deleted;
}

Async<std::optional<Certificate>> MemoryStore::certificate() {
    QVD_CO_CHECK(co_await ready());
    co_return tables_->certificate;
}

Async<void> MemoryStore::set_certificate(Certificate certificate) {
    QVD_CO_CHECK(co_await ready());
    tables_->certificate = std::move(certificate);
    tables_->announce({Announcement::What::configuration, {}, {}});
    co_return Result<void>{};
}

namespace {

template <class Rows, class Id>
Result<Properties*> of(Rows& rows, Id id, std::string_view what) {
    const auto found = rows.find(id);
    if (found == rows.end()) return answers::missing(what, id.value());
    return &found->second.properties;
}

Result<Properties*> find(memory::Tables& tables, Owner owner, std::int64_t id) {
    switch (owner) {
        case Owner::user:
            return of(tables.users, UserId{id}, "user");
        case Owner::vm:
            return of(tables.vms, VmId{id}, "vm");
        case Owner::osf:
            return of(tables.osfs, OsfId{id}, "osf");
        case Owner::di:
            return of(tables.dis, DiId{id}, "di");
        case Owner::node:
            return of(tables.nodes, NodeId{id}, "node");
    }
    return answers::missing("owner", id);
}

}  // namespace

Async<std::map<std::int64_t, Properties>> MemoryStore::all_properties(Owner owner) {
    QVD_CO_CHECK(co_await ready());
    std::map<std::int64_t, Properties> all;
    const auto gather = [&all](const auto& rows) {
        for (const auto& [id, row] : rows)
            if (!row.properties.empty()) all.emplace(id.value(), row.properties);
    };
    switch (owner) {
        case Owner::user:
            gather(tables_->users);
            break;
        case Owner::vm:
            gather(tables_->vms);
            break;
        case Owner::osf:
            gather(tables_->osfs);
            break;
        case Owner::di:
            gather(tables_->dis);
            break;
        case Owner::node:
            gather(tables_->nodes);
            break;
    }
    co_return all;
}

Async<Properties> MemoryStore::properties(Owner owner, std::int64_t id) {
    QVD_CO_CHECK(co_await ready());
    const auto found = find(*tables_, owner, id);
    if (!found.ok()) co_return Properties{};
    co_return **found;
}

Async<std::vector<std::string>> MemoryStore::property_values(std::string key) {
    QVD_CO_CHECK(co_await ready());
    std::set<std::string> values;
    const auto gather = [&](const auto& rows) {
        for (const auto& [id, row] : rows)
            if (const auto own = row.properties.find(key); own != row.properties.end())
                values.insert(own->second);
    };
    gather(tables_->osfs);
    gather(tables_->dis);
    gather(tables_->users);
    gather(tables_->vms);
    co_return std::vector<std::string>(values.begin(), values.end());
}

Async<void> MemoryStore::set_properties(Owner owner, std::int64_t id,
                                        std::map<std::string, std::optional<std::string>> values) {
    QVD_CO_CHECK(co_await ready());
    for (const auto& [key, value] : values)
        QVD_CO_CHECK(checks::property(key, value ? *value : std::string{}));
    QVD_CO_TRY(Properties* const all, find(*tables_, owner, id));
    for (const auto& [key, value] : values) {
        if (value)
            all->insert_or_assign(key, *value);
        else
            all->erase(key);
    }
    co_return Result<void>{};
}

Async<void> MemoryStore::audit(std::string who, std::string operation, std::string subject) {
    QVD_CO_CHECK(co_await ready());
    AuditLine line;
    line.id = tables_->next_id();
    line.at = tables_->now();
    line.who = std::move(who);
    line.operation = std::move(operation);
    line.subject = std::move(subject);
    line.account = "memory";
    tables_->audited.push_back(std::move(line));
    co_return Result<void>{};
}

Async<std::vector<AuditLine>> MemoryStore::audit_lines(int newest) {
    QVD_CO_CHECK(co_await ready());
    const auto& all = tables_->audited;
    const auto count = std::min<std::ptrdiff_t>(newest, std::ssize(all));
    co_return std::vector<AuditLine>(all.end() - count, all.end());
}

}  // namespace qvd::store
