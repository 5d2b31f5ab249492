// qa vm log: what a VM says on its console, or said last before it failed.
#include "base/text.hpp"
#include "commands.hpp"
#include "node_socket.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

namespace qvd::qa {

namespace {

struct Wanted {
    VmId vm;
    std::string name;
    bool lives = false;  // it starts, runs or stops
    std::string host;    // where it does, or did last
};

admin::Async<Wanted> one_vm(Farm& farm, admin::Filter filter) {
    QVD_CO_TRY(const auto rows, co_await farm.administration().vms(std::move(filter)));
    if (rows.size() != 1)
        co_return Error{
            rows.empty() ? ErrorKind::not_found : ErrorKind::invalid,
            rows.empty() ? "vm.not_found" : "vm.several",
            rows.empty() ? "no VM fits the filter"
                         : "the log is of one VM; the filter means " + std::to_string(rows.size())};
    const admin::Cell* const id = rows.front().find("id");
    Wanted wanted;
    wanted.vm = VmId{text::to_integer(id->value).value_or(0)};
    QVD_CO_TRY(const auto record, co_await farm.store().vm(wanted.vm));
    if (!record) co_return Error{ErrorKind::not_found, "vm.not_found", "no VM fits the filter"};
    wanted.name = record->vm.name;
    const VmState state = record->runtime.state;
    wanted.lives = state != VmState::stopped && state != VmState::failed;
    const auto where = wanted.lives ? record->runtime.node : record->runtime.last_node;
    QVD_CO_TRY(const auto nodes, co_await farm.store().nodes());
    for (const auto& node : nodes)
        if (where && node.node.id == *where) wanted.host = node.node.name;
    co_return wanted;
}

Error nothing_here(const Wanted& wanted) {
    const std::string vm = "vm " + wanted.name;
    if (wanted.host.empty())
        return {ErrorKind::not_found, "vm.no_log", vm + " has not run yet: there is no log of it"};
    return {ErrorKind::not_found, "vm.no_log",
            "this node has no log of " + vm + "; it " + (wanted.lives ? "runs" : "ran last") +
                " on host " + wanted.host + ": ask there"};
}

std::string failure_of(const std::string& document) {
    boost::system::error_code problem;
    const auto parsed = boost::json::parse(document, problem);
    if (problem || !parsed.is_object()) return document;
    const auto part = [&parsed](const char* key) {
        const auto* const value = parsed.as_object().if_contains(key);
        return value != nullptr && value->is_string() ? std::string(value->as_string())
                                                      : std::string();
    };
    std::string text = "last failure: " + part("why");
    const auto add = [&text](const std::string& title, const std::string& its) {
        text += "---- " + title + (its.empty() ? ": nothing was said\n" : "\n" + its);
        if (text.back() != '\n') text += "\n";
    };
    add("console", part("console"));
    add("agent", part("agent"));
    return text;
}

Output as_log(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return said(text, {{"log", text, admin::Cell::Kind::text, {}}});
}

admin::Async<Output> show_log(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const Wanted wanted, co_await one_vm(farm, line.filter));
    const std::string socket = farm.control_socket();
    const std::string of_vm = "/v1/vm/" + wanted.vm.text();
    if (!wanted.lives) {
        const auto failure = ask_node(socket, "GET", of_vm + "/failure");
        if (failure.ok()) co_return as_log(failure_of(*failure));
        if (failure.error().kind() != ErrorKind::not_found) co_return failure.error();
    }
    const auto console = ask_node(socket, "GET", of_vm + "/log");
    if (console.ok()) co_return as_log(*console);
    if (console.error().kind() == ErrorKind::not_found) co_return nothing_here(wanted);
    co_return console.error();
}

}  // namespace

std::vector<Command> vm_log_commands() {
    return {
        {"vm",
         "log",
         "Shows what a VM says on its console; of one that failed, what it and its agent said last "
         "and why it failed. On the node that it is on.",
         {},
         filters,
         show_log},
    };
}

}  // namespace qvd::qa
