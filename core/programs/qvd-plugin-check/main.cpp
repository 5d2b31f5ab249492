// qvd-plugin-check: does a plugin keep the rules of the ABI?
#include "describe.hpp"
#include "levels.hpp"

#include <boost/json.hpp>
#include <boost/program_options.hpp>

#include <iostream>

namespace {

using namespace qvd;
using namespace qvd::check;
namespace json = boost::json;
namespace options = boost::program_options;

constexpr int wrong_command_line = 2;

struct Wishes {
    Subject subject;
    Level last = Level::hypervisor;
    std::chrono::seconds limit{10};
    bool as_json = false;
    bool dump = false;
    bool keys = false;
};

void print_help(const options::options_description& described) {
    std::cout << "Usage: qvd-plugin-check FILE.so [options]\n"
                 "Checks that a plugin keeps the rules; each failure is a sentence that says what "
                 "to do.\nThe plugin's code runs in child processes with time limits.\n\n"
              << described << "\nLevels, each after those before it:\n";
    for (const Level level : all_levels)
        std::cout << "  " << name_of(level) << std::string(12 - name_of(level).size(), ' ')
                  << meaning_of(level) << "\n";
    std::cout << "\nExit status: 0 keeps the rules; 2 wrong command line; 3 file, 4 load, "
                 "5 manifest,\n6 life, 7 core, 8 balancer, 9 hypervisor: the level that failed; 77 "
                 "some levels could not be\nrun here; 1 the check itself failed.\n\n"
                 "FILE of --trial has lines KEY = VALUE:\n"
              << trial_help();
}

void parse_settings(const std::vector<std::string>& given, Settings& settings) {
    for (const std::string& one : given) {
        const std::size_t equals = one.find('=');
        if (equals == std::string::npos)
            throw options::error("--set wants KEY=VALUE, not \"" + one + "\"");
        settings[one.substr(0, equals)] = one.substr(equals + 1);
    }
}

Level parse_level(const std::string& name) {
    for (const Level level : all_levels)
        if (name == name_of(level)) return level;
    throw options::error("there is no level \"" + name +
                         "\": file, load, manifest, life, core, balancer, hypervisor");
}

// What the command line sets, it sets against the trial's file.
void read_trial(const std::string& file, Subject& subject) {
    auto plan = TrialPlan::read(file);
    if (!plan.ok()) throw options::error(plan.error().sentence());
    for (const auto& [key, value] : plan->settings) subject.given.try_emplace(key, value);
    subject.trial = std::move(plan).value();
}

// Nothing if help was asked for; throws options::error.
bool parse(int count, char** words, Wishes& wishes) {
    options::options_description shown("Options");
    std::string level;
    std::string trial;
    std::vector<std::string> settings;
    long long limit = wishes.limit.count();
    shown.add_options()("help,h", "this text")(
        "level,l", options::value(&level)->value_name("LEVEL"), "the last level to run")(
        "set,s", options::value(&settings)->value_name("KEY=VALUE")->composing(),
        "the value of a key of the plugin's, instead of its default")(
        "trial", options::value(&trial)->value_name("FILE"),
        "with what to try the VMs of a hypervisor: image, bridge, folder; see below")(
        "timeout,t", options::value(&limit)->value_name("SECONDS"),
        "how long one step may take (10)")("json", "the report as JSON")(
        "dump", "also print what the plugin says of itself")(
        "keys", "only print the plugin's keys, as a manual");
    options::options_description all;
    all.add(shown).add_options()("file", options::value(&wishes.subject.path));
    options::positional_options_description place;
    place.add("file", 1);
    options::variables_map map;
    options::store(options::command_line_parser(count, words).options(all).positional(place).run(),
                   map);
    options::notify(map);
    if (map.count("help") != 0) {
        print_help(shown);
        return false;
    }
    if (wishes.subject.path.empty()) throw options::error("which file? FILE.so is missing");
    if (limit < 1 || limit > 3600) throw options::error("--timeout must be 1 to 3600 seconds");
    wishes.limit = std::chrono::seconds(limit);
    if (!level.empty()) wishes.last = parse_level(level);
    parse_settings(settings, wishes.subject.given);
    if (!trial.empty()) read_trial(trial, wishes.subject);
    wishes.as_json = map.count("json") != 0;
    wishes.dump = map.count("dump") != 0;
    wishes.keys = map.count("keys") != 0;
    if (wishes.keys) wishes.last = Level::manifest;
    return true;
}

using Work = void (*)(const Subject&, const plugin::Library&, Messenger&);

// A level that needs the plugin loaded; loads it anew, in its own child.
Received run_loaded(const Wishes& wishes, Level level, Work work) {
    return in_child(level, wishes.limit, [&](Messenger& messenger) {
        messenger.step("loading");
        const auto library =
            plugin::Library::open_file(wishes.subject.path, plugin::Trust::not_asked);
        if (!library.ok()) return messenger.error(library.error().sentence());
        work(wishes.subject, **library, messenger);
    });
}

Received run_level(const Wishes& wishes, Level level) {
    switch (level) {
        case Level::file:
            return in_child(level, wishes.limit,
                            [&](Messenger& to) { check_file(wishes.subject, to); });
        case Level::load:
            return in_child(level, wishes.limit,
                            [&](Messenger& to) { (void)check_manifest(wishes.subject, to); });
        case Level::manifest:
            return run_loaded(wishes, level, [](const auto&, const auto& library, Messenger& to) {
                to.output(dump(library));
            });
        case Level::life:
            return run_loaded(wishes, level, &check_life);
        case Level::core:
            return run_loaded(wishes, level, &check_core);
        case Level::balancer:
            return run_loaded(wishes, level, &check_balancer);
        case Level::hypervisor:
            return check_hypervisor(wishes.subject, wishes.limit);
    }
    return {};
}

struct Checked {
    Report report;
    std::string description;
};

Checked run_levels(const Wishes& wishes) {
    Checked checked;
    for (const Level level : all_levels) {
        if (level > wishes.last) break;
        Received received = run_level(wishes, level);
        checked.description += received.output;
        if (!received.applicable) continue;
        checked.report.run.push_back(level);
        checked.report.add(std::move(received.findings));
        if (checked.report.has(Finding::Severity::error) ||
            checked.report.has(Finding::Severity::skipped))
            break;
    }
    return checked;
}

std::string manual(const Wishes& wishes) {
    return run_loaded(wishes, Level::manifest,
                      [](const auto&, const auto& library, Messenger& to) {
                          to.output(keys_as_manual(library.manifest()));
                      })
        .output;
}

void print_json(const Wishes& wishes, const Checked& checked) {
    json::array levels;
    for (const Level level : checked.report.run) levels.emplace_back(name_of(level));
    json::array findings;
    for (const Finding& finding : checked.report.findings)
        findings.push_back(json::object{{"level", name_of(finding.level)},
                                        {"severity", to_string(finding.severity)},
                                        {"sentence", finding.sentence}});
    json::object object{{"file", wishes.subject.path},
                        {"exit_code", checked.report.exit_code()},
                        {"levels", std::move(levels)},
                        {"findings", std::move(findings)}};
    if (wishes.dump) object["description"] = checked.description;
    if (wishes.keys) object["keys"] = manual(wishes);
    std::cout << json::serialize(object) << "\n";
}

void print_text(const Wishes& wishes, const Checked& checked) {
    const int code = checked.report.exit_code();
    for (const Finding& finding : checked.report.findings)
        std::cerr << wishes.subject.path << ": " << name_of(finding.level) << ": "
                  << (finding.severity == Finding::Severity::error
                          ? std::string()
                          : std::string(to_string(finding.severity)) + ": ")
                  << finding.sentence << "\n";
    if (wishes.keys) {
        if (code == 0) std::cout << manual(wishes);
        return;
    }
    if (wishes.dump) std::cout << checked.description;
    if (code == 0)
        std::cout << wishes.subject.path << ": keeps the rules (checked up to the level "
                  << name_of(checked.report.run.back()) << ")\n";
}

}  // namespace

int main(int count, char** words) {
    try {
        Wishes wishes;
        if (!parse(count, words, wishes)) return 0;
        const Checked checked = run_levels(wishes);
        if (wishes.as_json)
            print_json(wishes, checked);
        else
            print_text(wishes, checked);
        return checked.report.exit_code();
    } catch (const options::error& problem) {
        std::cerr << "qvd-plugin-check: " << problem.what() << " (--help tells more)\n";
        return wrong_command_line;
    } catch (const std::exception& problem) {
        std::cerr << "qvd-plugin-check: " << problem.what() << "\n";
        return 1;
    }
}
