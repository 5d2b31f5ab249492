#include "admin/administration.hpp"

#include "admin/values.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

#include <chrono>

namespace qvd::admin {

Administration::Administration(store::Store& store, config::View file_view, std::string who)
    : store_(store), file_view_(std::move(file_view)), view_(file_view_), who_(std::move(who)) {
}

Async<void> Administration::load() {
    QVD_CO_TRY(const auto values, co_await store_.configuration());
    database_values_ = config::View::Values(values.begin(), values.end());
    view_ = file_view_.with_database(database_values_);
    co_return Result<void>{};
}

boost::asio::awaitable<void> Administration::audit(std::string operation, std::string subject) {
    const auto written = co_await store_.audit(who_, operation, subject);
    if (!written.ok())
        log::warn("audit.lost", {{"operation", operation}, {"subject", subject}},
                  written.error().sentence());
}

// ---- selections ----------------------------------------------------------------------------

namespace {

Row row_of(const store::NodeRecord& record) {
    return admin::row_of(record, std::chrono::system_clock::now());
}

// Of the things that have properties in a table of their own, read where the filter asks for them.
constexpr store::Owner owner_of(const store::VmRecord* /*kind*/) {
    return store::Owner::vm;
}
constexpr store::Owner owner_of(const store::NodeRecord* /*kind*/) {
    return store::Owner::node;
}
constexpr store::Owner owner_of(const store::OsfRecord* /*kind*/) {
    return store::Owner::osf;
}
constexpr store::Owner owner_of(const store::DiRecord* /*kind*/) {
    return store::Owner::di;
}
constexpr store::Owner owner_of(const User* /*kind*/) {
    return store::Owner::user;
}

std::int64_t id_of(const store::VmRecord& record) {
    return record.vm.id.value();
}
std::int64_t id_of(const store::NodeRecord& record) {
    return record.node.id.value();
}
std::int64_t id_of(const store::OsfRecord& record) {
    return record.osf.id.value();
}
std::int64_t id_of(const store::DiRecord& record) {
    return record.di.id.value();
}
std::int64_t id_of(const User& user) {
    return user.id.value();
}

}  // namespace

// Of an image also what its file says.
template <class Record>
Row Administration::row_for(const Record& record) const {
    Row row = row_of(record);
    if constexpr (std::is_same_v<Record, store::DiRecord>) add_file_facts(record.di, row);
    return row;
}

template <class Record>
Async<std::vector<Administration::Selected<Record>>> Administration::select(
    Filter filter, std::vector<Record> records) {
    // Also where there is nothing to select from, a wrong key is told.
    QVD_CO_CHECK(filter.check_keys(row_for(Record{})));
    std::map<std::int64_t, Properties> properties;
    if (filter.needs_properties()) {
        constexpr store::Owner owner = owner_of(static_cast<const Record*>(nullptr));
        QVD_CO_TRY(properties, co_await store_.all_properties(owner));
    }
    std::vector<Selected<Record>> selected;
    for (Record& record : records) {
        Row row = row_for(record);
        if (filter.matches(row, properties[id_of(record)]))
            selected.push_back({std::move(record), std::move(row)});
    }
    co_return selected;
}

Async<std::vector<Administration::Selected<store::VmRecord>>> Administration::select_vms(
    Filter filter) {
    QVD_CO_TRY(auto records, co_await store_.vms());
    co_return co_await select(std::move(filter), std::move(records));
}

Async<std::vector<Administration::Selected<store::NodeRecord>>> Administration::select_hosts(
    Filter filter) {
    QVD_CO_TRY(auto records, co_await store_.nodes());
    co_return co_await select(std::move(filter), std::move(records));
}

Async<std::vector<Administration::Selected<store::OsfRecord>>> Administration::select_osfs(
    Filter filter) {
    QVD_CO_TRY(auto records, co_await store_.osfs());
    co_return co_await select(std::move(filter), std::move(records));
}

Async<std::vector<Administration::Selected<store::DiRecord>>> Administration::select_dis(
    Filter filter) {
    QVD_CO_TRY(auto records, co_await store_.dis());
    co_return co_await select(std::move(filter), std::move(records));
}

Async<std::vector<Administration::Selected<User>>> Administration::select_users(Filter filter) {
    QVD_CO_TRY(auto records, co_await store_.users());
    co_return co_await select(std::move(filter), std::move(records));
}

// ---- references by name or id --------------------------------------------------------------

namespace {

Error one_of_both(const char* by_name, const char* by_id) {
    return {ErrorKind::invalid, "parameter.exclusive",
            std::string("give either ") + by_name + "= or " + by_id + "="};
}

}  // namespace

Async<OsfId> Administration::find_osf(std::string name, std::string id) {
    if (name.empty() == id.empty()) co_return one_of_both("osf", "osf_id");
    QVD_CO_TRY(const auto records, co_await store_.osfs());
    for (const store::OsfRecord& record : records)
        if (name.empty() ? record.osf.id.text() == id : record.osf.name == name)
            co_return record.osf.id;
    co_return Error{ErrorKind::not_found, "osf.not_found",
                    "there is no osf " + (name.empty() ? id : text::quoted(name, 64))};
}

Async<UserId> Administration::find_user(std::string login, std::string id) {
    if (login.empty() == id.empty()) co_return one_of_both("user", "user_id");
    QVD_CO_TRY(const auto records, co_await store_.users());
    for (const User& user : records)
        if (login.empty() ? user.id.text() == id : user.login == login) co_return user.id;
    co_return Error{ErrorKind::not_found, "user.not_found",
                    "there is no user " + (login.empty() ? id : text::quoted(login, 64))};
}

Async<DiId> Administration::find_di(std::string id) {
    QVD_CO_TRY(const std::int64_t number, parse_id("di_id", id));
    QVD_CO_TRY(const auto records, co_await store_.dis());
    for (const store::DiRecord& record : records)
        if (record.di.id.value() == number) co_return record.di.id;
    co_return Error{ErrorKind::not_found, "di.not_found", "there is no di " + id};
}

}  // namespace qvd::admin
