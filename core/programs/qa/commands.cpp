#include "commands.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace qvd::qa {

const std::vector<Command>& all_commands() {
    static const std::vector<Command> commands = [] {
        std::vector<Command> all;
        for (auto part : {config_commands(), host_commands(), osf_commands(), di_commands(),
                          user_commands(), vm_commands()})
            std::ranges::move(part, std::back_inserter(all));
        return all;
    }();
    return commands;
}

const Command* find_command(std::string_view object, std::string_view name) {
    const auto found = std::ranges::find_if(all_commands(), [&](const Command& command) {
        return command.object == object && command.name == name;
    });
    return found == all_commands().end() ? nullptr : &*found;
}

std::string help_of(const Command& command) {
    std::string text = std::string(command.purpose) + "\n\nUsage: qa " +
                       std::string(command.object) + " " + std::string(command.name);
    for (const Parameter& parameter : command.parameters) {
        const std::string term = std::string(parameter.name) + "=...";
        text += parameter.required ? " " + term : " [" + term + "]";
    }
    if ((command.takes & any_parameters) != 0U) text += " KEY=VALUE...";
    if ((command.takes & words) != 0U) text += " [KEY...]";
    if ((command.takes & a_password) != 0U) text += " [password=...]";
    if ((command.takes & filters) != 0U) text += " [-f FILTER]";
    if ((command.takes & confirmation) != 0U) text += " [--force]";
    text += " [--json] [-q]\n";
    if (!command.parameters.empty()) text += "\n";
    for (const Parameter& parameter : command.parameters)
        text += "  " + std::string(parameter.name) + "  " + std::string(parameter.meaning) + "\n";
    return text;
}

std::string overview(std::string_view object) {
    std::string text;
    for (const Command& command : all_commands()) {
        if (!object.empty() && command.object != object) continue;
        std::string words = "  qa " + std::string(command.object) + " " + std::string(command.name);
        constexpr std::size_t width = 28;
        if (words.size() < width) words.append(width - words.size(), ' ');
        text += words + " " + std::string(command.purpose) + "\n";
    }
    return text;
}

Result<void> check_arguments(const Command& command, const CommandLine& line) {
    const auto wrong = [](const std::string& sentence) {
        return Error{ErrorKind::invalid, "usage", sentence};
    };
    for (const Parameter& parameter : command.parameters)
        if (parameter.required && !line.parameters.contains(std::string(parameter.name)))
            return wrong("the parameter " + std::string(parameter.name) + "= is missing");
    for (const auto& [key, value] : line.parameters) {
        const bool known = std::ranges::any_of(
            command.parameters,
            [&name = key](const Parameter& parameter) { return parameter.name == name; });
        if (!known && (command.takes & any_parameters) == 0U)
            return wrong("there is no parameter " + text::quoted(key, 64) + " here");
    }
    if (!line.words.empty() && (command.takes & words) == 0U)
        return wrong("too many arguments: " + text::quoted(line.words.front(), 64) +
                     " is no key=value");
    if (!line.filters.empty() && (command.takes & filters) == 0U)
        return wrong("this command takes no filter");
    if (line.has_password && (command.takes & a_password) == 0U)
        return wrong("there is no parameter password here");
    return {};
}

Output counted(int count, std::string_view what) {
    return said(std::to_string(count) + " " + std::string(what),
                {{"count", std::to_string(count), admin::Cell::Kind::number}});
}

Output counted(const admin::Done& done, std::string_view what) {
    Output output = counted(done.count, what);
    for (const std::string& one : done.skipped) output.line += "\nleft alone: " + one;
    output.facts.push_back(
        {"skipped", std::to_string(done.skipped.size()), admin::Cell::Kind::number});
    const std::string why = text::join(done.skipped, "; ");
    output.facts.push_back(
        {"why", why, why.empty() ? admin::Cell::Kind::missing : admin::Cell::Kind::text});
    return output;
}

Output deleted(const admin::Done& done, std::string_view what) {
    Output output = counted(done, what);
    output.refused = done.count == 0 && !done.skipped.empty();
    return output;
}

Output added(std::int64_t id) {
    return said(std::to_string(id), {{"id", std::to_string(id), admin::Cell::Kind::number}});
}

Output listed(std::vector<admin::Row> rows, std::vector<Column> columns) {
    Output output;
    output.is_list = true;
    output.columns = std::move(columns);
    output.rows = std::move(rows);
    return output;
}

std::string parameter(const CommandLine& line, const std::string& key,
                      const std::string& fallback) {
    const auto found = line.parameters.find(key);
    return found == line.parameters.end() ? fallback : found->second;
}

}  // namespace qvd::qa
