#include "store/memory/tables.hpp"

namespace qvd::store {

namespace {

Error unknown(OperatorId id) {
    return answers::missing("operator", id.value());
}

}  // namespace

Async<OperatorId> MemoryStore::add_operator(std::string name, OperatorRole role,
                                            Secret password_hash) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(check_operator_name(name));
    for (const auto& [known, row] : tables_->operators)
        if (row.who.name == name) co_return answers::violated("operators_name_key");
    const OperatorId id{tables_->next_id()};
    tables_->operators[id] = {{id, std::move(name), role, false}, std::move(password_hash)};
    co_return id;
}

Async<void> MemoryStore::delete_operator(OperatorId id) {
    QVD_CO_CHECK(co_await ready());
    if (tables_->operators.erase(id) == 0) co_return unknown(id);
    tables_->announce({Announcement::What::operators, {}, {}});
    co_return Result<void>{};
}

Async<std::vector<Operator>> MemoryStore::operators() {
    QVD_CO_CHECK(co_await ready());
    std::vector<Operator> all;
    for (const auto& [id, row] : tables_->operators) all.push_back(row.who);
    co_return all;
}

Async<void> MemoryStore::edit_operator(OperatorId id, OperatorEdit edit) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->operators.find(id);
    if (found == tables_->operators.end()) co_return unknown(id);
    if (edit.role) found->second.who.role = *edit.role;
    if (edit.blocked) found->second.who.blocked = *edit.blocked;
    if (edit.password_hash) found->second.hash = *edit.password_hash;
    tables_->announce({Announcement::What::operators, {}, {}});
    co_return Result<void>{};
}

Async<std::optional<Store::OperatorAccess>> MemoryStore::operator_access(std::string name) {
    QVD_CO_CHECK(co_await ready());
    for (const auto& [id, row] : tables_->operators)
        if (row.who.name == name) co_return OperatorAccess{row.who, row.hash};
    co_return std::optional<OperatorAccess>{};
}

}  // namespace qvd::store
