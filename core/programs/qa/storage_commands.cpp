// qa storage: what lies on the storage of nodes, and removing what nobody needs of it.
#include "base/text.hpp"
#include "commands.hpp"
#include "hkd/keys.hpp"
#include "node_access.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <ctime>
#include <functional>
#include <iostream>
#include <optional>

namespace qvd::qa {

namespace {

namespace json = boost::json;

std::string text_of(const json::object& from, const char* key) {
    const auto* const value = from.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::int64_t number_of(const json::object& from, const char* key) {
    const auto* const value = from.if_contains(key);
    boost::system::error_code none;
    return value == nullptr ? 0 : value->to_number<std::int64_t>(none);
}

Result<json::object> parsed(const std::string& document) {
    boost::system::error_code broken;
    auto value = json::parse(document, broken);
    if (broken || !value.is_object() || !value.get_object().contains("items"))
        return Error{ErrorKind::internal, "server.protocol",
                     "its answer is not understood: is it of another version?"};
    return std::move(value.get_object());
}

// "2026-11-22T04:13:49Z"
std::optional<std::chrono::system_clock::time_point> instant(const std::string& utc) {
    std::tm parts{};
    if (::strptime(utc.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts) == nullptr) return std::nullopt;
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

// "3 d" since then, or until then.
std::string distance(const std::string& utc) {
    const auto then = instant(utc);
    if (!then) return {};
    const auto between = std::chrono::abs(std::chrono::system_clock::now() - *then);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(between).count();
    constexpr std::int64_t minute = 60;
    constexpr std::int64_t hour = 60 * minute;
    constexpr std::int64_t day = 24 * hour;
    if (seconds < 2 * minute) return std::to_string(seconds) + " s";
    if (seconds < 2 * hour) return std::to_string(seconds / minute) + " min";
    if (seconds < 2 * day) return std::to_string(seconds / hour) + " h";
    return std::to_string(seconds / day) + " d";
}

std::string when_it_goes(const json::object& item) {
    const std::string goes = text_of(item, "goes");
    const auto then = instant(goes);
    if (!then) return "stays";
    return *then <= std::chrono::system_clock::now() ? "soon" : "in " + distance(goes);
}

admin::Row named(const std::string& host, const json::object& item) {
    admin::Row row;
    row.text("host", host).text("kind", text_of(item, "kind")).text("name", text_of(item, "name"));
    row.text("path", text_of(item, "path"));
    const auto* const bytes = item.if_contains("bytes");
    if (bytes == nullptr || bytes->is_null())
        row.missing("size");
    else
        row.bytes("size", number_of(item, "bytes"));
    return row;
}

admin::Row of_item(const std::string& host, const json::object& item) {
    admin::Row row = named(host, item);
    const auto* const needed = item.if_contains("needed");
    const bool is_needed = needed == nullptr || !needed->is_bool() || needed->get_bool();
    const std::string by = text_of(item, "used_by");
    row.text("age", distance(text_of(item, "changed")));
    row.text("changed", text_of(item, "changed"));
    row.yes_or_no("needed", is_needed);
    row.text("used_by", is_needed ? by : "nobody: " + by);
    row.text("removal", is_needed ? std::string() : when_it_goes(item));
    row.text("goes", text_of(item, "goes"));
    return row;
}

admin::Row of_removal(const std::string& host, const json::object& item) {
    admin::Row row = named(host, item);
    const std::string problem = text_of(item, "problem");
    row.text("why", problem.empty() ? text_of(item, "why") : "not removed: " + problem);
    row.yes_or_no("failed", !problem.empty());
    return row;
}

// Hosts one after the other; one that does not answer keeps nobody from the others.
class Round {
public:
    explicit Round(const CommandLine& line) : line_(line) {}

    using Ask = std::function<Result<void>(const NodeAccess::Host&)>;
    Result<int> go(const Ask& ask) {
        QVD_TRY(const auto access, NodeAccess::to_hosts(line_));
        std::optional<Error> last;
        for (const NodeAccess::Host& host : access->hosts()) {
            const Result<void> asked = ask(host);
            if (asked.ok()) continue;
            last = asked.error();
            ++silent_;
            if (access->hosts().size() > 1 && !line_.quiet)
                std::cerr << "Warning: host " << host.name << ": " << last->sentence() << "\n";
        }
        if (last && silent_ == access->hosts().size()) return *std::move(last);
        return last ? 1 : 0;
    }

private:
    const CommandLine& line_;
    std::size_t silent_ = 0;
};

void tell_left_off(const CommandLine& line, const NodeAccess::Host& host,
                   const json::object& answer) {
    const std::int64_t left = number_of(answer, "left_off");
    if (left > 0 && !line.quiet)
        std::cerr << "Warning: host " << host.name << " has " << left << " more\n";
}

Result<int> list(const CommandLine& line) {
    std::vector<admin::Row> rows;
    Round round(line);
    QVD_TRY(const int status, round.go([&](const NodeAccess::Host& host) -> Result<void> {
        QVD_TRY(const std::string document,
                host.channel->document(net::control_target(net::ControlVerb::storage)));
        QVD_TRY(const json::object answer, parsed(document));
        for (const json::value& item : answer.at("items").as_array())
            rows.push_back(of_item(host.name, item.as_object()));
        tell_left_off(line, host, answer);
        return {};
    }));
    const Output output = listed(std::move(rows), {{"Host", "host"},
                                                   {"Kind", "kind"},
                                                   {"Name", "name"},
                                                   {"Size", "size"},
                                                   {"Age", "age"},
                                                   {"Used by", "used_by"},
                                                   {"Removal", "removal"}});
    std::cout << (line.json ? as_json(output) : as_table(output, line.quiet));
    return status;
}

// What several answers of several hosts come to.
struct Sum {
    std::vector<admin::Row> rows;
    std::int64_t bytes = 0;
    std::int64_t failed = 0;
    std::int64_t left = 0;

    // How many were removed, or would be.
    std::int64_t add(const CommandLine& line, const NodeAccess::Host& host,
                     const json::object& answer) {
        std::int64_t done = 0;
        for (const json::value& item : answer.at("items").as_array()) {
            const bool good = text_of(item.as_object(), "problem").empty();
            (good ? done : failed) += 1;
            rows.push_back(of_removal(host.name, item.as_object()));
        }
        bytes += number_of(answer, "bytes");
        tell_left_off(line, host, answer);
        return done;
    }
};

Result<std::string> target_of(const CommandLine& line) {
    std::string target = net::control_target(net::ControlVerb::collect);
    target += line.dry_run ? "?dry_run=1" : "?dry_run=0";
    const std::string age = parameter(line, "age");
    if (age.empty()) return target;
    const config::Declaration key = config::declaration_of(hkd::collect_age);
    if (!config::check_value(key, age).ok())
        return Error{ErrorKind::invalid, "usage",
                     "age= is a time such as 0, 90s, 10min or 2d, not " + text::quoted(age, 64)};
    const std::int64_t milliseconds = *config::to_number(key.kind, age);
    return target + "&age=" + std::to_string(milliseconds / 1000);
}

// A node does so much at a time that its answer does not keep one waiting.
Result<void> collect_on(const CommandLine& line, const NodeAccess::Host& host,
                        const std::string& target, Sum& sum) {
    for (;;) {
        QVD_TRY(const std::string document, host.channel->document(target));
        QVD_TRY(const json::object answer, parsed(document));
        const std::int64_t done = sum.add(line, host, answer);
        const std::int64_t left = number_of(answer, "left");
        if (left > 0 && done > 0 && !line.dry_run) continue;
        sum.left += left;
        return {};
    }
}

std::string summary_of(const CommandLine& line, const Sum& sum) {
    const std::int64_t good = static_cast<std::int64_t>(sum.rows.size()) - sum.failed;
    admin::Row row;
    row.bytes("size", sum.bytes);
    std::string text = std::to_string(good) + (good == 1 ? " thing " : " things ");
    text += line.dry_run ? "would be removed" : "removed";
    if (sum.bytes > 0)
        text += ", " + row.cells().back().shown() + (line.dry_run ? " would be freed" : " freed");
    if (sum.failed > 0) text += "; " + std::to_string(sum.failed) + " not";
    if (sum.left > 0)
        text += "; " + std::to_string(sum.left) + " more for which there was no time: try again";
    return text;
}

Result<int> collect(const CommandLine& line) {
    QVD_TRY(const std::string target, target_of(line));
    Sum sum;
    Round round(line);
    QVD_TRY(int status, round.go([&](const NodeAccess::Host& host) {
        return collect_on(line, host, target, sum);
    }));
    if (sum.failed > 0) status = 1;
    const std::string summary = summary_of(line, sum);
    const Output output = listed(
        std::move(sum.rows),
        {{"Host", "host"}, {"Kind", "kind"}, {"Name", "name"}, {"Size", "size"}, {"Why", "why"}});
    if (line.json) {
        std::cout << as_json(output);
    } else {
        if (!output.rows.empty()) std::cout << as_table(output, line.quiet);
        if (!line.quiet) std::cout << summary << "\n";
    }
    return status;
}

}  // namespace

std::vector<Command> storage_commands() {
    Command shows{
        "storage", "list",           "Shows what lies on the storage of nodes, and who needs it.",
        {},        filters | a_node, {},
        {}};
    shows.at_terminal = list;
    Command collects{"storage",
                     "gc",
                     "Removes what nobody needs from the storage of nodes.",
                     {{"age", Need::optional,
                       "for how long nobody must have needed it, e.g. 0 or 2d; default "
                       "hkd.storage.collect.age"}},
                     filters | confirmation | a_node | trying,
                     {},
                     {}};
    collects.at_terminal = collect;
    return {std::move(shows), std::move(collects)};
}

}  // namespace qvd::qa
