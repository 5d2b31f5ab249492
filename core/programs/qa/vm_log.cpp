// qa vm log: what a VM says on its console, or said last before it failed.
#include "commands.hpp"
#include "node_access.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <iostream>

namespace qvd::qa {

namespace {

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

Error without_log(const Error& why, VmId vm) {
    if (why.kind() != ErrorKind::not_found) return why;
    return {ErrorKind::not_found, "vm.no_log",
            "its node has no log of VM " + vm.text() + ": it has not run there yet"};
}

// Its console while it lives; of one that failed, what was kept.
Result<std::string> log_of(NodeAccess& node) {
    const auto failure = node.document(net::control_target(net::ControlVerb::failure, node.vm()));
    if (failure.ok()) return failure_of(*failure);
    if (failure.error().kind() != ErrorKind::not_found) return failure.error();
    return node.document(net::control_target(net::ControlVerb::log, node.vm()));
}

Result<int> show_log(const CommandLine& line) {
    QVD_TRY(const auto node, NodeAccess::to_vm(line, NodeAccess::Where::now_or_last));
    Result<std::string> log = log_of(*node);
    if (!log.ok()) return without_log(log.error(), node->vm());
    while (!log->empty() && log->back() == '\n') log->pop_back();
    const Output output = said(*log, {{"log", *log, admin::Cell::Kind::text, {}}});
    std::cout << (line.json ? as_json(output) : as_table(output, line.quiet));
    return 0;
}

}  // namespace

std::vector<Command> vm_log_commands() {
    Command command{"vm",
                    "log",
                    "Shows what a VM says on its console; of one that failed, what it and its "
                    "agent said last and why it failed.",
                    {},
                    filters | a_node,
                    {},
                    {}};
    command.at_terminal = show_log;
    return {std::move(command)};
}

}  // namespace qvd::qa
