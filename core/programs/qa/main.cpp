// qa: the farm's command line. Words only; what is done is in core/admin.
#include "base/log.hpp"
#include "base/text.hpp"
#include "command_line.hpp"
#include "commands.hpp"
#include "doctor.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include <iostream>
#include <string_view>

namespace {

using namespace qvd;
using namespace std::string_view_literals;

// The exit codes, as --help and the manual page list them.
enum Exit : int {
    done = 0,
    failed = 1,
    wrong_usage = 2,
    not_there = 3,
    refused = 4,
    no_service = 5
};

int exit_code(const Error& error) {
    // What is wrong is not what was said now, but a file: the node's, or a plugin's.
    if (error.code() == "config.invalid" || error.code() == "config.syntax" ||
        error.code().starts_with("plugin."))
        return failed;
    switch (error.kind()) {
        case ErrorKind::invalid:
            return wrong_usage;
        case ErrorKind::not_found:
            return not_there;
        case ErrorKind::denied:
        case ErrorKind::conflict:
            return refused;
        case ErrorKind::unavailable:
        case ErrorKind::timeout:
            return no_service;
        default:
            return failed;
    }
}

int report(const Error& error, const qa::CommandLine& line) {
    if (line.json)
        std::cout << boost::json::serialize(boost::json::object{{"error", error.code()},
                                                                {"sentence", error.sentence()}})
                  << "\n";
    if (!line.quiet) std::cerr << "Error: " << error.sentence() << "\n";
    return exit_code(error);
}

void print_help() {
    std::cout
        << "Usage: qa OBJECT COMMAND [key=value...] [options]\n\n"
        << qa::overview("")
        << "\nOptions (anywhere):\n"
           "  -f, --filter KEY=VALUE[,...]  only these; * and ? are wildcards; all must hold\n"
           "      --force                   do not ask\n"
           "      --json                    for programs\n"
           "  -q, --quiet                   no headers, no messages\n"
           "  -c, --config FILE             instead of /etc/qvd/node.conf\n"
           "      --all                     with config: internal keys, too\n"
           "      --wait                    with vm start, vm stop: until it is done\n"
           "      --purge                   with di del: the files, too\n"
           "      --usage                   with vm list: CPU and memory\n"
           "      --dry-run                 with storage gc: only show what would go\n"
           "      --node HOST[:PORT]        the node to ask, as an operator\n"
           "      --operator NAME           who you are there; the password is in QVDPASSWORD\n"
           "                                or asked for\n"
           "  -h, --help                    this, or the help of a command\n"
           "      --version\n"
           "\n`qa doctor` finds out why a node does not work.\n"
           "\nExit status: 0 done (or you said no), 1 failed, 2 wrong usage or value, or nobody "
           "to\n"
           "ask, 3 no such thing, 4 refused in this state, 5 the database or a node cannot be\n"
           "reached\n";
}

// "Are you sure?" for what would touch everything; a person who says no has not failed, a script
// that says nothing has.
Result<bool> wants_it(const qa::Command& command, const qa::CommandLine& line) {
    const bool asks = (command.takes & qa::confirmation) != 0U;
    // Words name what is meant where no filter can (config del KEY).
    const bool named =
        (command.takes & qa::filters) != 0U ? !line.filters.empty() : !line.words.empty();
    if (!asks || line.force || line.dry_run || named) return true;
    std::cerr << qa::question_of(command) << " [y/N] " << std::flush;
    std::string answer;
    if (!std::getline(std::cin, answer)) {
        std::cerr << "\n";
        if (::isatty(STDIN_FILENO) == 0)
            return Error{ErrorKind::invalid, "usage",
                         "nobody answered; nothing was done (--force does not ask)"};
    }
    return !answer.empty() && (answer.front() == 'y' || answer.front() == 'Y');
}

int unknown_command(const qa::CommandLine& line) {
    if (line.json)
        return report({ErrorKind::invalid, "usage",
                       "there is no command " + line.object + " " + line.command},
                      line);
    const std::string list = qa::overview(line.object);
    std::cerr << "Error: "
              << (line.command.empty() ? "Valid command expected"
                                       : "there is no command " + line.object + " " + line.command)
              << "\n"
              << (list.empty() ? qa::overview("") : list);
    return wrong_usage;
}

int malformed(int count, char** arguments, const Error& error) {
    qa::CommandLine wrong;
    for (int i = 1; i < count; ++i) wrong.json = wrong.json || arguments[i] == "--json"sv;
    return report(error, wrong);
}

// With the database.
int carry_out(const qa::Command& command, const qa::CommandLine& line) {
    auto farm = qa::Farm::open(line.config_file);
    if (!farm.ok()) return report(farm.error(), line);
    const auto output = (*farm)->run(command.run(**farm, line));
    if (!output.ok()) return report(output.error(), line);
    std::cout << (line.json ? qa::as_json(*output) : qa::as_table(*output, line.quiet));
    if (!line.quiet)
        for (const std::string& warning : (*farm)->administration().warnings())
            std::cerr << "Warning: " << warning << "\n";
    if (output->failed) return failed;
    return output->refused ? refused : done;
}

int run(const qa::Command& command, qa::CommandLine& line) {
    if (line.help) {
        std::cout << qa::help_of(command);
        return done;
    }
    if (const auto checked = qa::check_arguments(command, line); !checked.ok()) {
        const int code = report(checked.error(), line);
        if (!line.quiet) std::cerr << qa::help_of(command);
        return code;
    }
    auto filter = admin::Filter::parse(line.filters);
    if (!filter.ok()) return report(filter.error(), line);
    line.filter = std::move(*filter);
    const auto wanted = wants_it(command, line);
    if (!wanted.ok()) return report(wanted.error(), line);
    if (!*wanted) return done;
    if (!command.at_terminal) return carry_out(command, line);
    const auto status = command.at_terminal(line);
    return status.ok() ? *status : report(status.error(), line);
}

int run(int count, char** arguments) {
    auto parsed = qa::parse_command_line(count, arguments);
    if (!parsed.ok()) return malformed(count, arguments, parsed.error());
    qa::CommandLine& line = *parsed;
    if (line.version) {
        std::cout << "qa " QVD_VERSION "\n";
        return done;
    }
    if (line.object.empty()) {
        print_help();
        return line.help ? done : wrong_usage;
    }
    if (line.object == "doctor") return qa::doctor(line);
    if (const qa::Command* const command = qa::find_command(line.object, line.command))
        return run(*command, line);
    const std::string commands = qa::overview(line.object);
    if (!line.help || !line.command.empty() || commands.empty()) return unknown_command(line);
    std::cout << commands;
    return done;
}

}  // namespace

int main(int count, char** arguments) {
    log::set_level(log::Level::error);
    try {
        return run(count, arguments);
    } catch (const std::exception& broken) {
        std::cerr << "qa: " << broken.what() << "\n";
        return failed;
    }
}
