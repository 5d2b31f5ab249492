#include "commands.hpp"

namespace qvd::qa {

namespace {

admin::Async<Output> get(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, farm.administration().configuration(line.words, line.all));
    std::string text;
    for (const admin::Row& row : rows)
        text += row.find("key")->value + "=" + row.find("value")->value + "\n";
    co_return answered(std::move(text), std::move(rows));
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    co_return listed(
        farm.administration().every_setting(line.all),
        {{"Key", "key"}, {"Value", "value"}, {"From", "origin"}, {"Meaning", "meaning"}});
}

admin::Async<Output> set(Farm& farm, CommandLine line) {
    if (line.parameters.empty())
        co_return Error{ErrorKind::invalid, "usage", "give at least one KEY=VALUE"};
    const int count = static_cast<int>(line.parameters.size());
    QVD_CO_CHECK(co_await farm.administration().set_configuration(line.parameters, line.force));
    co_return counted(count, "key", "set");
}

admin::Async<Output> del(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const int count, co_await farm.administration().delete_configuration(line.words));
    co_return counted(count, "key", "deleted");
}

admin::Async<Output> ssl(Farm& farm, CommandLine line) {
    QVD_CO_CHECK(co_await farm.administration().set_certificate(
        parameter(line, "key"), parameter(line, "cert"), parameter(line, "ca"),
        parameter(line, "crl")));
    co_return said("certificate set", {{"certificate", parameter(line, "cert")}});
}

}  // namespace

std::vector<Command> config_commands() {
    return {
        {"config",
         "get",
         "Shows effective values as key=value (--all: also internal ones).",
         {},
         words | internals,
         get},
        {"config",
         "list",
         "Shows every key with its value, origin and meaning (--all: also internal ones).",
         {},
         internals,
         list},
        {"config",
         "set",
         "Sets keys in the database, over every node's file (--force: names plugins that are not "
         "here).",
         {},
         any_parameters,
         set},
        {"config",
         "del",
         "Deletes keys from the database; without KEY all of them.",
         {},
         words | confirmation,
         del},
        {"config",
         "ssl",
         "Sets the certificate that clients see; used at once.",
         {{"key", Need::required, "file with the private key (PEM, no passphrase)"},
          {"cert", Need::required, "file with the certificate and its chain (PEM)"},
          {"ca", Need::optional, "file with the authority of client certificates"},
          {"crl", Need::optional, "file with its revocation list"}},
         0,
         ssl},
    };
}

}  // namespace qvd::qa
