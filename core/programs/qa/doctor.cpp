#include "doctor.hpp"

#include "admin/doctor/examination.hpp"
#include "config/keys.hpp"
#include "programs/qvd-node/configuration.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/supervisor.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <iostream>

namespace qvd::qa {

namespace {

using namespace admin::doctor;

constexpr const char* help =
    "Checks each precondition of a working node on this machine and says what to do.\n\n"
    "Usage: qa doctor [-c FILE] [--json] [-q]\n\n"
    "Starts and changes nothing. Some checks need root; those are named.\n"
    "With -q only warnings and problems are printed.\n\n"
    "Exit status: 0 nothing is wrong (there may be warnings), 1 something is\n";

Surroundings surroundings_of(const CommandLine& line) {
    Surroundings surroundings;
    surroundings.file = line.config_file.empty() ? config::default_node_file : line.config_file;
    surroundings.view_of = &node::view_of;
    surroundings.view_with_plugins = [](const config::Properties& file) {
        plugin::Catalogue plugins;
        Surroundings::PluginKeys keys{node::view_with_plugins(file, plugins), {}};
        for (const node::InstalledPlugin& plugin : plugins)
            if (!plugin.problem.empty()) keys.broken.emplace_back(plugin.name, plugin.problem);
        return keys;
    };
    surroundings.node_status = [](const config::View& view) {
        return supervisor::ask_supervisor(supervisor::command_socket_path(view), "status json",
                                          std::chrono::seconds(5));
    };
    return surroundings;
}

std::string_view word(Level level) {
    if (level == Level::good) return "ok  ";
    return level == Level::warning ? "warn" : "FAIL";
}

void print(const Diagnoses& diagnoses, bool quiet) {
    std::size_t width = 0;
    for (const Diagnosis& one : diagnoses) width = std::max(width, one.name.size());
    for (const Diagnosis& one : diagnoses) {
        if (quiet && one.level == Level::good) continue;
        std::cout << word(one.level) << "  " << one.name << ":"
                  << std::string(width - one.name.size() + 1, ' ') << one.sentence << "\n";
        if (!one.advice.empty()) std::cout << "      → " << one.advice << "\n";
    }
}

void print_json(const Diagnoses& diagnoses) {
    boost::json::array checks;
    for (const Diagnosis& one : diagnoses) {
        const char* const level = one.level == Level::good      ? "ok"
                                  : one.level == Level::warning ? "warning"
                                                                : "problem";
        checks.push_back(boost::json::object{{"check", one.name},
                                             {"result", level},
                                             {"sentence", one.sentence},
                                             {"advice", one.advice}});
    }
    std::cout << boost::json::serialize(boost::json::object{{"ok", !has_problem(diagnoses)},
                                                            {"checks", std::move(checks)}})
              << "\n";
}

}  // namespace

int doctor(const CommandLine& line) {
    if (line.help) {
        std::cout << help;
        return 0;
    }
    if (!line.command.empty() || !line.filters.empty()) {
        std::cerr << "Error: `qa doctor` takes no arguments\n" << help;
        return 2;
    }
    const Diagnoses diagnoses = examine(surroundings_of(line));
    if (line.json)
        print_json(diagnoses);
    else
        print(diagnoses, line.quiet);
    return has_problem(diagnoses) ? 1 : 0;
}

}  // namespace qvd::qa
