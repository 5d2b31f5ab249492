#include "commands.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace qvd::qa {

const std::vector<Command>& all_commands() {
    static const std::vector<Command> commands = [] {
        std::vector<Command> all;
        for (auto part :
             {config_commands(), host_commands(), property_commands("host"), osf_commands(),
              property_commands("osf"), di_commands(), di_making_commands(),
              property_commands("di"), user_commands(), property_commands("user"),
              operator_commands(), vm_commands(), property_commands("vm"), vm_order_commands(),
              vm_log_commands(), stream_commands(), audit_commands(), storage_commands()})
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

namespace {

std::string terms_of(const std::vector<Parameter>& parameters) {
    std::string text;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const std::string term = std::string(parameters[i].name) + "=...";
        if (parameters[i].need == Need::required) text += " " + term;
        if (parameters[i].need == Need::optional) text += " [" + term + "]";
        if (parameters[i].need == Need::either)
            text += " (" + term + "|" + std::string(parameters[++i].name) + "=...)";
    }
    return text;
}

// What they are of this command.
std::string words_of(const Command& command) {
    if (command.object == "di" && command.name == "build") return "RECIPE";
    if (command.object == "di" && command.name == "edit") return "[-- COMMAND...]";
    return "[KEY...]";
}

std::string padded(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

}  // namespace

std::string help_of(const Command& command) {
    std::string text = std::string(command.purpose) + "\n\nUsage: qa " +
                       std::string(command.object) + " " + std::string(command.name) +
                       terms_of(command.parameters);
    if ((command.takes & any_parameters) != 0U) text += " KEY=VALUE...";
    if ((command.takes & words) != 0U) text += " " + words_of(command);
    if ((command.takes & a_password) != 0U) text += " [password=...]";
    if ((command.takes & filters) != 0U) text += " [-f FILTER]";
    if ((command.takes & internals) != 0U) text += " [--all]";
    if ((command.takes & waiting) != 0U) text += " [--wait]";
    if ((command.takes & purging) != 0U) text += " [--purge]";
    if ((command.takes & usages) != 0U) text += " [--usage]";
    if ((command.takes & trying) != 0U) text += " [--dry-run]";
    if ((command.takes & (confirmation | forcing)) != 0U) text += " [--force]";
    if ((command.takes & a_node) != 0U) text += " [--node HOST[:PORT]] [--operator NAME]";
    text += " [--json] [-q]\n";
    if (!command.parameters.empty()) text += "\n";
    std::size_t width = 0;
    for (const Parameter& parameter : command.parameters)
        width = std::max(width, parameter.name.size());
    for (const Parameter& parameter : command.parameters)
        text += "  " + padded(std::string(parameter.name), width) + "  " +
                std::string(parameter.meaning) + "\n";
    return text;
}

std::string overview(std::string_view object) {
    std::string text;
    for (const Command& command : all_commands()) {
        if (!object.empty() && command.object != object) continue;
        const std::string words =
            "  qa " + std::string(command.object) + " " + std::string(command.name);
        constexpr std::size_t width = 28;
        text += padded(words, width) + " " + std::string(command.purpose) + "\n";
    }
    return text;
}

namespace {

Error wrong(const std::string& sentence) {
    return {ErrorKind::invalid, "usage", sentence};
}

Result<void> check_parameters(const std::vector<Parameter>& parameters, const CommandLine& line) {
    const auto given = [&line](const Parameter& parameter) {
        return line.parameters.contains(std::string(parameter.name));
    };
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const Parameter& one = parameters[i];
        if (one.need == Need::required && !given(one))
            return wrong("the parameter " + std::string(one.name) + "= is missing");
        if (one.need != Need::either) continue;
        const Parameter& other = parameters[++i];
        if (given(one) == given(other))
            return wrong("give either " + std::string(one.name) + "= or " +
                         std::string(other.name) + "=");
    }
    return {};
}

Result<void> check_known(const Command& command, const CommandLine& line) {
    if ((command.takes & any_parameters) != 0U) return {};
    for (const auto& [key, value] : line.parameters) {
        const bool known = std::ranges::any_of(
            command.parameters,
            [&name = key](const Parameter& parameter) { return parameter.name == name; });
        if (!known) return wrong("there is no parameter " + text::quoted(key, 64) + " here");
    }
    return {};
}

}  // namespace

Result<void> check_arguments(const Command& command, const CommandLine& line) {
    QVD_CHECK(check_parameters(command.parameters, line));
    QVD_CHECK(check_known(command, line));
    if (!line.words.empty() && (command.takes & words) == 0U)
        return wrong("too many arguments: " + text::quoted(line.words.front(), 64) +
                     " is no key=value");
    if (!line.filters.empty() && (command.takes & filters) == 0U)
        return wrong("this command takes no filter");
    if (line.has_password && (command.takes & a_password) == 0U)
        return wrong("there is no parameter password here");
    if ((command.takes & a_node) == 0U && !(line.node.empty() && line.operator_name.empty()))
        return wrong("this command takes no --node and no --operator");
    const auto foreign = [&command](bool given, Takes what) {
        return given && (command.takes & what) == 0U;
    };
    if (foreign(line.all, internals)) return wrong("this command takes no --all");
    if (foreign(line.wait, waiting)) return wrong("this command takes no --wait");
    if (foreign(line.purge, purging)) return wrong("this command takes no --purge");
    if (foreign(line.usage, usages)) return wrong("this command takes no --usage");
    if (foreign(line.dry_run, trying)) return wrong("this command takes no --dry-run");
    return {};
}

std::string question_of(const Command& command) {
    if (command.object == "storage")
        return "Are you sure that you want to remove what nobody needs, on all hosts?";
    std::string things = std::string(command.object) + "s";
    if (command.object == "vm") things = "VMs";
    if (command.object == "osf") things = "OSFs";
    if (command.object == "di") things = "images";
    if (command.object == "config") things = "keys of the database";
    std::string verb(command.name);
    if (verb == "del") verb = "delete";
    if (verb == "disconnect_user") verb = "disconnect the users of";
    if (verb == "propset") verb = "set properties of";
    if (verb == "propdel") verb = "delete properties of";
    return "Are you sure that you want to " + verb + " all " + things + "?";
}

Output counted(int count, std::string_view noun, std::string_view done) {
    return said(std::to_string(count) + " " + std::string(noun) + (count == 1 ? " " : "s ") +
                    std::string(done),
                {{"count", std::to_string(count), admin::Cell::Kind::number, {}}});
}

Output counted(const admin::Done& outcome, std::string_view noun, std::string_view done) {
    Output output = counted(outcome.count, noun, done);
    for (const std::string& one : outcome.skipped) output.line += "\nleft alone: " + one;
    output.facts.push_back(
        {"skipped", std::to_string(outcome.skipped.size()), admin::Cell::Kind::number, {}});
    const std::string why = text::join(outcome.skipped, "; ");
    output.facts.push_back(
        {"why", why, why.empty() ? admin::Cell::Kind::missing : admin::Cell::Kind::text, {}});
    output.refused = outcome.count == 0 && !outcome.skipped.empty();
    return output;
}

Output added(std::int64_t id) {
    return said(std::to_string(id), {{"id", std::to_string(id), admin::Cell::Kind::number, {}}});
}

admin::ExpiryTexts expiry_of(const CommandLine& line) {
    const auto text = [&line](const std::string& key) -> std::optional<std::string> {
        const auto found = line.parameters.find(key);
        if (found == line.parameters.end()) return std::nullopt;
        return found->second;
    };
    return {text("expire-soft"), text("expire-hard")};
}

std::vector<Parameter> expiry_parameters() {
    return {{"expire-soft", Need::optional,
             "when VMs with an older image are asked to restart: a time of at(1)"},
            {"expire-hard", Need::optional, "when they are restarted: a time of at(1)"}};
}

void tell_expired(Output& output, const admin::Expired& expired) {
    if (!expired.asked) return;
    const auto shown = [](const std::optional<Timestamp>& limit) {
        return limit ? admin::zoned_time(*limit) : "never";
    };
    const auto fact = [](const char* key, const std::optional<Timestamp>& limit) {
        const auto kind = limit ? admin::Cell::Kind::text : admin::Cell::Kind::missing;
        return admin::Cell{key, limit ? admin::utc_time(*limit) : "", kind, {}};
    };
    const std::string who =
        expired.vms == 1 ? "1 VM runs" : std::to_string(expired.vms) + " VMs run";
    output.line += "\n" + who + " an older image and will expire (soft: " + shown(expired.soft) +
                   ", hard: " + shown(expired.hard) + ")";
    output.facts.push_back(
        {"expiring", std::to_string(expired.vms), admin::Cell::Kind::number, {}});
    output.facts.push_back(fact("expire_soft", expired.soft));
    output.facts.push_back(fact("expire_hard", expired.hard));
}

Output answered(std::string text, std::vector<admin::Row> rows) {
    Output output = listed(std::move(rows), {});
    output.answer = std::move(text);
    return output;
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
