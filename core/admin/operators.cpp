// qa operator.
#include "admin/administration.hpp"
#include "admin/selection.hpp"
#include "admin/values.hpp"
#include "base/text.hpp"
#include "model/password.hpp"

namespace qvd::admin {

namespace {

Error unknown(const std::string& name) {
    return {ErrorKind::not_found, "operator.not_found",
            "there is no operator " + text::quoted(name, 64)};
}

Result<store::Store::OperatorEdit> edit_of(const Parameters& changes) {
    store::Store::OperatorEdit edit;
    if (const auto role = changes.find("role"); role != changes.end()) {
        QVD_TRY(edit.role, parse_operator_role(role->second));
    }
    if (const auto blocked = changes.find("blocked"); blocked != changes.end()) {
        QVD_TRY(edit.blocked, parse_boolean(blocked->second));
    }
    if (!edit.role && !edit.blocked)
        return Error{ErrorKind::invalid, "usage", "nothing to change was given: role= or blocked="};
    return edit;
}

}  // namespace

Async<std::vector<Administration::Selected<Operator>>> Administration::select_operators(
    Filter filter) {
    QVD_CO_CHECK(filter.check_keys(row_of(Operator{})));
    QVD_CO_TRY(auto records, co_await store_.operators());
    std::vector<Selected<Operator>> selected;
    for (Operator& who : records) {
        Row row = row_of(who);
        if (filter.matches(row, {})) selected.push_back({std::move(who), std::move(row)});
    }
    co_return selected;
}

Async<OperatorId> Administration::add_operator(std::string name, std::string role,
                                               Secret password) {
    QVD_CO_CHECK(check_operator_name(name));
    QVD_CO_TRY(const OperatorRole wanted, parse_operator_role(role));
    QVD_CO_TRY(Secret hash, hash_password(password));
    QVD_CO_TRY(const OperatorId id, co_await store_.add_operator(name, wanted, std::move(hash)));
    co_await audit("operator add", name + " " + role);
    co_return id;
}

Async<Done> Administration::delete_operators(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_operators(std::move(filter)));
    Done done;
    for (const auto& one : selected) {
        QVD_CO_CHECK(co_await store_.delete_operator(one.record.id));
        co_await audit("operator del", one.record.name);
        ++done.count;
    }
    co_return done;
}

Async<std::vector<Row>> Administration::operators(Filter filter) {
    QVD_CO_TRY(auto selected, co_await select_operators(std::move(filter)));
    co_return rows_of(std::move(selected));
}

Async<int> Administration::edit_operators(Filter filter, Parameters changes) {
    QVD_CO_TRY(const auto edit, edit_of(changes));
    QVD_CO_TRY(const auto selected, co_await select_operators(std::move(filter)));
    int count = 0;
    for (const auto& one : selected) {
        QVD_CO_CHECK(co_await store_.edit_operator(one.record.id, edit));
        std::string subject = one.record.name;
        for (const auto& [key, value] : changes) subject += " " + key + "=" + value;
        co_await audit("operator edit", std::move(subject));
        ++count;
    }
    co_return count;
}

Async<void> Administration::set_operator_password(std::string name, Secret password) {
    QVD_CO_TRY(const auto records, co_await store_.operators());
    for (const Operator& who : records) {
        if (who.name != name) continue;
        store::Store::OperatorEdit edit;
        QVD_CO_TRY(edit.password_hash, hash_password(password));
        QVD_CO_CHECK(co_await store_.edit_operator(who.id, std::move(edit)));
        co_await audit("operator passwd", name);
        co_return Result<void>{};
    }
    co_return unknown(name);
}

}  // namespace qvd::admin
