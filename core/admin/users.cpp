// qa user.
#include "admin/administration.hpp"
#include "admin/selection.hpp"
#include "base/text.hpp"
#include "model/password.hpp"
#include "plugin/keys.hpp"

namespace qvd::admin {

Async<UserId> Administration::add_user(std::string login, Secret password) {
    const std::string name = normalise_login(login, view_.get(plugin::login_case_sensitive));
    constexpr std::size_t longest = 64;
    if (name.empty() || name.size() > longest ||
        name.find_first_of(":,\n\r\t") != std::string::npos)
        co_return Error{ErrorKind::invalid, "user.login",
                        text::quoted(login, longest) +
                            R"( cannot be a login: 1 to 64 characters without ":", "," and tabs)"};
    QVD_CO_TRY(Secret hash, hash_password(password));
    QVD_CO_TRY(const UserId id, co_await store_.add_user(name, std::move(hash)));
    co_await audit("user add", name);
    co_return id;
}

Async<Done> Administration::delete_users(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_users(std::move(filter)));
    Done done;
    for (const auto& user : selected) {
        const auto deleted = co_await store_.delete_user(user.record.id);
        if (skipped(done, "user " + user.record.login, deleted)) continue;
        QVD_CO_CHECK(deleted);
        co_await audit("user del", user.record.login);
        ++done.count;
    }
    co_return done;
}

Async<std::vector<Row>> Administration::users(Filter filter) {
    QVD_CO_TRY(auto selected, co_await select_users(std::move(filter)));
    co_return rows_of(std::move(selected));
}

Async<void> Administration::set_password(std::string login, Secret password) {
    QVD_CO_TRY(const UserId user, co_await find_user(login, ""));
    QVD_CO_TRY(Secret hash, hash_password(password));
    QVD_CO_CHECK(co_await store_.set_password_hash(user, std::move(hash)));
    co_await audit("user passwd", login);
    co_return Result<void>{};
}

}  // namespace qvd::admin
