#include "admin/doctor/examination.hpp"

#include "admin/doctor/checks.hpp"
#include "admin/doctor/database.hpp"
#include "broker/keys.hpp"
#include "config/keys.hpp"
#include "store/embedded.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

namespace qvd::admin::doctor {

namespace {

const std::vector<std::string> nothing;

class Examination {
public:
    explicit Examination(const Surroundings& surroundings) : surroundings_(surroundings) {}

    Diagnoses run() {
        const config::Properties file = read_file();
        config::View view = surroundings_.view_of(file);
        const bool embedded = store::embedded_place(view).has_value();
        add(check_file(view, surroundings_.file));
        add(check_users(view, embedded));
        const DatabaseAnswer database = look_into_database(view, surroundings_.file);
        add(database.diagnoses);
        view = view.with_database(database.values);
        // The configuration with the keys of plugins, which only their code can tell.
        const InUse use = in_use(view, database.farm ? database.farm->hypervisors : nothing,
                                 database.farm ? database.farm->unions : nothing);
        add(check_programs(view, use, embedded));
        add(in_child("plugins", [&] { return with_plugins(file, view, database.values, use); }));
        add(check_kernel(view));
        add(check_containers(view, use));
        add(check_guests(view, use));
        add(check_storage(view, use));
        add(check_local_storage(view, use));
        std::optional<std::string> address;
        const auto& farm = database.farm;
        const store::NodeRecord* const own = farm ? own_node(*farm, view) : nullptr;
        if (own != nullptr) address = own->node.address;
        add(check_bridge(view, address, embedded));
        add(check_port(view, ask_node(view)));
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
        const std::string& path = surroundings_.file;
        const auto file = config::Properties::read(path);
        if (file.ok()) return *file;
        add(problem("configuration.file", file.error().sentence(),
                    std::filesystem::exists(path) ? "correct it, or run `qa doctor` as root"
                                                  : "write it, or name another one with -c FILE"));
        return {};
    }

    [[nodiscard]] Diagnoses with_plugins(const config::Properties& file, const config::View& view,
                                         const config::View::Values& database,
                                         const InUse& use) const {
        const Surroundings::PluginKeys keys = surroundings_.view_with_plugins(file);
        Diagnoses diagnoses =
            check_configuration(keys.view.with_database(database), surroundings_.file);
        std::ranges::move(check_plugins(view, use), std::back_inserter(diagnoses));
        for (const auto& [name, why] : keys.broken)
            diagnoses.push_back(
                warning("plugin.file." + name, why, "remove the file or install it anew"));
        return diagnoses;
    }

    // Where it listens; nothing if it could not be asked.
    [[nodiscard]] std::optional<std::string> ask_node(const config::View& view) {
        if (::geteuid() != 0) {
            add(needs_root("node", "whether the node runs here"));
            return std::nullopt;
        }
        const auto answer = surroundings_.node_status(view);
        if (answer.ok()) {
            add(check_status(*answer));
            return listening_of(*answer);
        }
        add(problem("node", answer.error().sentence(),
                    "systemctl start qvd-node; `qvd-node --check-config` says whether the "
                    "configuration allows it"));
        return std::string();
    }

    const Surroundings& surroundings_;
    Diagnoses found_;
};

}  // namespace

Diagnoses examine(const Surroundings& surroundings) {
    return Examination(surroundings).run();
}

}  // namespace qvd::admin::doctor
