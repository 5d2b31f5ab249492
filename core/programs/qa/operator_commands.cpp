#include "commands.hpp"

namespace qvd::qa {

namespace {

admin::Async<Output> add(Farm& farm, CommandLine line) {
    QVD_CO_TRY(Secret password, new_password(line));
    const std::string name = parameter(line, "name");
    const std::string role = parameter(line, "role", "observer");
    QVD_CO_TRY(const OperatorId id,
               co_await farm.administration().add_operator(name, role, std::move(password)));
    co_return added(id.value());
}

admin::Async<Output> del(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().delete_operators(line.filter));
    co_return counted(done, "operator", "deleted");
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().operators(line.filter));
    co_return listed(std::move(rows),
                     {{"Id", "id"}, {"Name", "name"}, {"Role", "role"}, {"Blocked", "blocked"}});
}

admin::Async<Output> edit(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const int count,
               co_await farm.administration().edit_operators(line.filter, line.parameters));
    co_return counted(count, "operator", "edited");
}

admin::Async<Output> passwd(Farm& farm, CommandLine line) {
    QVD_CO_TRY(Secret password, new_password(line));
    const std::string name = parameter(line, "name");
    QVD_CO_CHECK(co_await farm.administration().set_operator_password(name, std::move(password)));
    co_return said("password changed", {{"name", name}});
}

}  // namespace

std::vector<Command> operator_commands() {
    return {
        {"operator",
         "add",
         "Makes an operator, who reaches nodes from afar; the password is asked for, or read from "
         "stdin.",
         {{"name", Need::required, "unique"},
          {"role", Need::optional, "administrator, operator or observer; default: observer"}},
         a_password,
         add},
        {"operator", "del", "Deletes operators.", {}, filters | confirmation, del},
        {"operator", "list", "Lists operators.", {}, filters, list},
        {"operator",
         "edit",
         "Changes operators.",
         {{"role", Need::optional, "administrator, operator or observer"},
          {"blocked", Need::optional, "yes: let in nowhere until it is no"}},
         filters | confirmation,
         edit},
        {"operator",
         "passwd",
         "Sets an operator's password; it is asked for, or read from stdin.",
         {{"name", Need::required, "whose"}},
         a_password,
         passwd},
    };
}

}  // namespace qvd::qa
