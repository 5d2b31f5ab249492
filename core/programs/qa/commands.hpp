// Every command of qa as one table: its words, its parameters, what it does.
#pragma once

#include "command_line.hpp"
#include "farm.hpp"
#include "output.hpp"

#include <functional>
#include <string_view>
#include <vector>

namespace qvd::qa {

enum class Need {
    optional,
    required,
    either  // this one or the next one, and not both
};

struct Parameter {
    std::string_view name;
    Need need = Need::optional;
    std::string_view meaning;
};

// What a command takes besides its parameters.
enum Takes : unsigned {
    filters = 1U,         // -f
    any_parameters = 2U,  // key=value of any key (config set)
    words = 4U,           // words without "=" (config get KEY)
    confirmation = 8U,    // asks without filter, words and --force
    a_password = 16U,     // password=, or asked for
    internals = 32U,      // --all
    forcing = 64U,        // --force, without being asked
    waiting = 128U,       // --wait
    purging = 256U,       // --purge
    usages = 512U,        // --usage
    a_node = 1024U,       // --node and --operator
    trying = 2048U,       // --dry-run
};

struct Command {
    std::string_view object;
    std::string_view name;
    std::string_view purpose;
    std::vector<Parameter> parameters;
    unsigned takes = 0;
    std::function<admin::Async<Output>(Farm&, CommandLine)> run;
    // Of a command that takes the terminal, and the farm only if it needs it: in place of `run`;
    // gives the exit status.
    std::function<Result<int>(const CommandLine&)> at_terminal = {};
};

// In the order of the help.
const std::vector<Command>& all_commands();

// Null: there is none.
const Command* find_command(std::string_view object, std::string_view name);

std::string help_of(const Command& command);
// All commands, or those of one object.
std::string overview(std::string_view object);

// invalid "usage": a parameter is missing or foreign.
Result<void> check_arguments(const Command& command, const CommandLine& line);

// The commands of each object.
std::vector<Command> config_commands();
std::vector<Command> host_commands();
std::vector<Command> osf_commands();
std::vector<Command> di_commands();
std::vector<Command> di_making_commands();
std::vector<Command> user_commands();
std::vector<Command> vm_commands();
// propset, propget and propdel of each of them.
std::vector<Command> property_commands(std::string_view object);
std::vector<Command> operator_commands();
std::vector<Command> audit_commands();
std::vector<Command> stream_commands();
std::vector<Command> vm_log_commands();
std::vector<Command> vm_order_commands();
std::vector<Command> storage_commands();

// "Are you sure ...?" of a command that would touch everything.
std::string question_of(const Command& command);

// Shared by them.
// "1 VM stopped", "2 VMs stopped"; `noun` in the singular.
Output counted(int count, std::string_view noun, std::string_view done);
// The same; refused if everything there was had to be left alone.
Output counted(const admin::Done& outcome, std::string_view noun, std::string_view done);
Output added(std::int64_t id);
// What became of expire-soft= and expire-hard=, behind what else was done; nothing if neither was
// said.
void tell_expired(Output& output, const admin::Expired& expired);
admin::ExpiryTexts expiry_of(const CommandLine& line);
// The parameters of commands that limit runs.
std::vector<Parameter> expiry_parameters();
// How far an image is copied: a line that is written over itself, only where a person watches.
admin::CopyProgress progress_line(const CommandLine& line);
// What was asked for as `text` for people, and as rows for programs.
Output answered(std::string text, std::vector<admin::Row> rows);
Output listed(std::vector<admin::Row> rows, std::vector<Column> columns);
std::string parameter(const CommandLine& line, const std::string& key,
                      const std::string& fallback = {});
// The password of the command line, else asked for twice without echo, else a line of stdin.
Result<Secret> new_password(const CommandLine& line);

}  // namespace qvd::qa
