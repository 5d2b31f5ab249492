#include "doctor.hpp"

#include "admin/doctor/checks.hpp"
#include "admin/doctor/farm.hpp"
#include "base/text.hpp"
#include "broker/keys.hpp"
#include "config/keys.hpp"
#include "programs/qvd-node/configuration.hpp"
#include "store/deploy.hpp"
#include "store/embedded.hpp"
#include "store/postgres.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/supervisor.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>

namespace qvd::qa {

namespace {

using namespace admin::doctor;

constexpr const char* help =
    "Checks each precondition of a working node on this machine and says what to do.\n\n"
    "Usage: qa doctor [-c FILE] [--json] [-q]\n\n"
    "Starts and changes nothing. Some checks need root; those are named.\n"
    "With -q only warnings and problems are printed.\n\n"
    "Exit status: 0 nothing is wrong (there may be warnings), 1 something is\n";

class Doctor {
public:
    explicit Doctor(const CommandLine& line)
        : path_(line.config_file.empty() ? config::default_node_file : line.config_file) {}

    Diagnoses run() {
        const config::Properties file = read_file();
        config::View view = node::view_of(file);
        const bool embedded = store::embedded_place(view).has_value();
        add(check_users(view, embedded));
        add(check_programs(view, embedded));
        add(check_kernel());
        const auto farm = look_into_database(view);
        // The configuration with the keys of plugins, which only their code can tell.
        add(in_child("plugins", [&] { return with_plugins(file, view); }));
        add(check_storage(view));
        std::optional<std::string> address;
        const store::NodeRecord* const own = farm ? own_node(*farm, view) : nullptr;
        if (own != nullptr) address = own->node.address;
        add(check_bridge(view, address, embedded));
        add(ask_node(view));
        add(check_port(view));
        if (farm) {
            const auto now = std::chrono::system_clock::now();
            add(check_node(*farm, view, now));
            add(check_certificate(*farm, view.get(broker::use_ssl), now));
            add(check_images(*farm, view.get(config::path_storage_images)));
        }
        return std::move(found_);
    }

private:
    void add(Diagnoses more) { std::ranges::move(more, std::back_inserter(found_)); }
    void add(Diagnosis one) { found_.push_back(std::move(one)); }

    config::Properties read_file() {
        const auto file = config::Properties::read(path_);
        if (file.ok()) return *file;
        add(problem("configuration.file", file.error().sentence(),
                    std::filesystem::exists(path_) ? "correct it, or run `qa doctor` as root"
                                                   : "write it, or name another one with -c FILE"));
        return {};
    }

    Diagnoses with_plugins(const config::Properties& file, const config::View& view) {
        std::vector<node::InstalledPlugin> plugins;
        const config::View full =
            node::view_with_plugins(file, plugins).with_database(database_values_);
        Diagnoses diagnoses = check_configuration(full, path_);
        std::ranges::move(check_plugins(view), std::back_inserter(diagnoses));
        for (const node::InstalledPlugin& plugin : plugins)
            if (!plugin.problem.empty())
                diagnoses.push_back(warning("plugin.file." + plugin.name, plugin.problem,
                                            "remove the file or install it anew"));
        return diagnoses;
    }

    // Adds what the database says to `view`; the farm, if it could be asked.
    std::optional<FarmFacts> look_into_database(config::View& view) {
        if (!view.check().ok()) return std::nullopt;
        if (const auto place = store::embedded_place(view)) {
            using State = store::EmbeddedCluster::Status::State;
            const auto status = store::EmbeddedCluster(*place).status();
            if (status.state != State::running) {
                add(problem("database", status.sentence,
                            "start the node: systemctl start qvd-node (any other `qa` command "
                            "starts the database, too)"));
                return std::nullopt;
            }
            if (::geteuid() != 0) {
                add(needs_root("database", "what the embedded database holds"));
                return std::nullopt;
            }
        }
        return schema_is_good(view) ? ask(view) : std::nullopt;
    }

    bool schema_is_good(const config::View& view) {
        const auto state = store::schema_state(view);
        if (!state.ok()) {
            add(problem(
                "database", state.error().sentence(),
                "look whether it runs, and at database.host, .user and .password in " + path_));
            return false;
        }
        add(good("database", state->where + " answers" +
                                 (state->contents.empty() ? "" : ": " + state->contents)));
        const std::string version = "its schema has version " + std::to_string(state->version) +
                                    ", this program works with " +
                                    std::to_string(store::schema_version());
        const bool fits = state->version == store::schema_version();
        if (fits)
            add(good("database.schema", version));
        else
            add(problem("database.schema", version,
                        state->version > store::schema_version()
                            ? "install the newer release here, too"
                            : "run qvd-deploy-db"));
        return fits;
    }

    std::optional<FarmFacts> ask(config::View& view) {
        boost::asio::io_context loop{1};
        auto store = store::open_postgres(loop.get_executor(), view, store::Role::owner);
        std::optional<FarmFacts> farm;
        std::string why = store.ok() ? "" : store.error().sentence();
        if (store.ok()) {
            boost::asio::co_spawn(loop, read(**store, farm, why, database_values_),
                                  [&loop](const std::exception_ptr&) { loop.stop(); });
            loop.run();
        }
        if (!farm) add(problem("database.rights", why, "run qvd-deploy-db"));
        view = view.with_database(database_values_);
        return farm;
    }

    static boost::asio::awaitable<void> read(store::Store& store, std::optional<FarmFacts>& farm,
                                             std::string& why, config::View::Values& values) {
        const auto configuration = co_await store.configuration();
        if (configuration.ok()) values.insert(configuration->begin(), configuration->end());
        auto facts = co_await ask_farm(store);
        if (facts.ok())
            farm.emplace(std::move(*facts));
        else
            why = facts.error().sentence();
    }

    static Diagnosis ask_node(const config::View& view) {
        if (::geteuid() != 0) return needs_root("node", "whether the node runs here");
        const auto answer = supervisor::ask_supervisor(supervisor::command_socket_path(view),
                                                       "status", std::chrono::seconds(5));
        if (!answer.ok())
            return problem("node", answer.error().sentence(),
                           "systemctl start qvd-node; `qvd-node --check-config` says whether the "
                           "configuration allows it");
        return good("node", text::join(text::split_list(*answer, '\n'), "; "));
    }

    std::string path_;
    config::View::Values database_values_;
    Diagnoses found_;
};

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
    const Diagnoses diagnoses = Doctor(line).run();
    if (line.json)
        print_json(diagnoses);
    else
        print(diagnoses, line.quiet);
    return has_problem(diagnoses) ? 1 : 0;
}

}  // namespace qvd::qa
