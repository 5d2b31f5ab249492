#include "commands.hpp"

namespace qvd::qa {

namespace {

admin::Async<Output> add(Farm& farm, CommandLine line) {
    QVD_CO_TRY(Secret password, new_password(line));
    QVD_CO_TRY(const UserId id, co_await farm.administration().add_user(parameter(line, "login"),
                                                                        std::move(password)));
    co_return added(id.value());
}

admin::Async<Output> del(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().delete_users(line.filter));
    co_return counted(done, "user", "deleted");
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().users(line.filter));
    co_return listed(std::move(rows), {{"Id", "id"}, {"Login", "login"}});
}

admin::Async<Output> passwd(Farm& farm, CommandLine line) {
    QVD_CO_TRY(Secret password, new_password(line));
    const std::string user = parameter(line, "user");
    QVD_CO_CHECK(co_await farm.administration().set_password(user, std::move(password)));
    co_return said("password changed", {{"user", user}});
}

}  // namespace

std::vector<Command> user_commands() {
    return {
        {"user",
         "add",
         "Makes a user; without password= it is asked for, or read from stdin.",
         {{"login", Need::required, "unique"}},
         a_password,
         add},
        {"user", "del", "Deletes users without VMs.", {}, filters | confirmation, del},
        {"user", "list", "Lists users.", {}, filters, list},
        {"user",
         "passwd",
         "Sets a user's password; it is asked for, or read from stdin.",
         {{"user", Need::required, "his login"}},
         a_password,
         passwd},
    };
}

}  // namespace qvd::qa
