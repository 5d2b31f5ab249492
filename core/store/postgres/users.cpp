#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"

namespace qvd::store::postgres {

Async<UserId> PostgresStore::add_user(std::string login, std::optional<Secret> password_hash) {
    QVD_CO_CHECK(checks::name("user.login", login, 255));
    QVD_CO_TRY(const Rows rows,
               co_await ask("INSERT INTO users (login, password) VALUES ($1, $2) RETURNING id",
                            login, password_hash));
    const auto id = rows[0].id<UserId>("id");
    QVD_CO_CHECK(rows.check());
    co_return id;
}

Async<void> PostgresStore::delete_user(UserId user) {
    Statement statement("DELETE FROM users WHERE id = $1", user);
    statement.deleting = true;
    co_return co_await change_one(pool_, "user", user.value(), std::move(statement));
}

Async<std::vector<User>> PostgresStore::users() {
    QVD_CO_TRY(const Rows rows, co_await ask("SELECT id, login FROM users ORDER BY id"));
    std::vector<User> all;
    all.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i)
        all.push_back({rows[i].id<UserId>("id"), rows[i].text("login")});
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<std::optional<User>> PostgresStore::user(std::string login) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT id, login FROM users WHERE login = $1", login));
    if (rows.empty()) co_return std::optional<User>{};
    User user{rows[0].id<UserId>("id"), rows[0].text("login")};
    QVD_CO_CHECK(rows.check());
    co_return std::optional(std::move(user));
}

Async<std::optional<Secret>> PostgresStore::password_hash(UserId user) {
    QVD_CO_TRY(const Rows rows, co_await ask("SELECT password FROM users WHERE id = $1", user));
    if (rows.empty()) co_return answers::missing("user", user.value());
    if (rows[0].is_null("password")) co_return std::optional<Secret>{};
    co_return std::optional(Secret(rows[0].text("password")));
}

Async<void> PostgresStore::set_password_hash(UserId user, Secret hash) {
    co_return co_await change("user", user.value(), "UPDATE users SET password = $2 WHERE id = $1",
                              user, hash);
}

}  // namespace qvd::store::postgres
