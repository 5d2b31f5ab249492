#include "store/checks.hpp"
#include "store/memory/tables.hpp"

#include <algorithm>

namespace qvd::store {

Async<UserId> MemoryStore::add_user(std::string login, std::optional<Secret> password_hash) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(checks::name("user.login", login, 255));
    for (const auto& [known, row] : tables_->users)
        if (row.user.login == login) co_return answers::violated("users_login_key");
    const UserId id{tables_->next_id()};
    tables_->users[id] = {{id, std::move(login)}, std::move(password_hash), {}};
    co_return id;
}

Async<void> MemoryStore::delete_user(UserId user) {
    QVD_CO_CHECK(co_await ready());
    if (!tables_->users.contains(user)) co_return answers::missing("user", user.value());
    for (const auto& [id, row] : tables_->vms)
        if (row.vm.user == user) co_return answers::violated("vms_user_fkey", true);
    for (auto& [id, row] : tables_->vms)
        if (row.runtime.real_user == user) row.runtime.real_user.reset();
    for (auto it = tables_->sessions.begin(); it != tables_->sessions.end();) {
        const bool his = it->second.user == user;
        if (his && it->second.state != SessionState::disconnected) tables_->end(it->second);
        it = his ? tables_->sessions.erase(it) : std::next(it);
    }
    tables_->users.erase(user);
    co_return Result<void>{};
}

Async<std::vector<User>> MemoryStore::users() {
    QVD_CO_CHECK(co_await ready());
    std::vector<User> all;
    for (const auto& [id, row] : tables_->users) all.push_back(row.user);
    co_return all;
}

Async<std::optional<User>> MemoryStore::user(std::string login) {
    QVD_CO_CHECK(co_await ready());
    for (const auto& [id, row] : tables_->users)
        if (row.user.login == login) co_return std::optional(row.user);
    co_return std::optional<User>{};
}

Async<std::optional<Secret>> MemoryStore::password_hash(UserId user) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->users.find(user);
    if (found == tables_->users.end()) co_return answers::missing("user", user.value());
    co_return found->second.hash;
}

Async<void> MemoryStore::set_password_hash(UserId user, Secret hash) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->users.find(user);
    if (found == tables_->users.end()) co_return answers::missing("user", user.value());
    found->second.hash = std::move(hash);
    co_return Result<void>{};
}

}  // namespace qvd::store
