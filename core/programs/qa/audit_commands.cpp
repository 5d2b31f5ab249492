#include "base/text.hpp"
#include "commands.hpp"

namespace qvd::qa {

namespace {

admin::Async<Output> list(Farm& farm, CommandLine line) {
    constexpr std::int64_t most = 100'000;
    const auto last = text::to_integer(parameter(line, "last", "100"));
    if (!last || *last < 1 || *last > most)
        co_return Error{ErrorKind::invalid, "usage", "last= is a number of lines, 1 to 100000"};
    QVD_CO_TRY(auto rows,
               co_await farm.administration().audit_lines(line.filter, static_cast<int>(*last)));
    co_return listed(std::move(rows), {{"Id", "id"},
                                       {"At", "at"},
                                       {"Who", "who"},
                                       {"Operation", "operation"},
                                       {"Subject", "subject"}});
}

}  // namespace

std::vector<Command> audit_commands() {
    return {
        {"audit",
         "list",
         "Lists what was done: by qa, by operators from afar, by plugins.",
         {{"last", Need::optional, "so many lines, of those that the filter means; default 100"}},
         filters,
         list}};
}

}  // namespace qvd::qa
