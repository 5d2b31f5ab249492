#include "farm.hpp"

#include "base/file.hpp"
#include "config/keys.hpp"
#include "plugin/keys.hpp"
#include "programs/qvd-node/configuration.hpp"
#include "store/embedded.hpp"
#include "store/postgres.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/supervisor.hpp"

#include <qvd/load_balancer.h>

#include <pwd.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

namespace qvd::qa {

namespace {

constexpr std::chrono::seconds tables_patience{60};
constexpr std::chrono::milliseconds tables_pause{200};

// Who to name in the audit: the person behind sudo, if there is one.
std::string who_is_it() {
    if (const char* behind = std::getenv("SUDO_USER")) return behind;  // NOLINT: one thread
    const passwd* entry = ::getpwuid(::geteuid());                     // NOLINT: one thread
    return entry != nullptr ? entry->pw_name : std::to_string(::geteuid());
}

Result<config::View> read_configuration(const std::string& config_file,
                                        plugin::Catalogue& plugins) {
    const std::string path = config_file.empty() ? config::default_node_file : config_file;
    config::Properties file;
    if (!config_file.empty() || std::filesystem::exists(path)) {
        QVD_TRY(file, config::Properties::read(path));
    }
    config::View view = node::view_with_plugins(file, plugins);
    QVD_CHECK(view.check());
    return view;
}

bool node_runs(const config::View& view) {
    return supervisor::ask_supervisor(supervisor::command_socket_path(view), "status json",
                                      Milliseconds{5'000})
        .ok();
}

}  // namespace

Result<std::unique_ptr<Farm>> Farm::open(const std::string& config_file) {
    plugin::Catalogue plugins;
    QVD_TRY(config::View view, read_configuration(config_file, plugins));
    if (const auto place = store::embedded_place(view)) {
        store::EmbeddedCluster cluster(*place);
        QVD_CHECK(cluster.ensure_running());
    }
    std::unique_ptr<Farm> farm(new Farm(view));
    QVD_TRY(farm->store_,
            store::open_postgres(farm->loop_.get_executor(), view, store::Role::owner));
    farm->administration_ =
        std::make_unique<admin::Administration>(*farm->store_, view, who_is_it());
    farm->administration_->know_plugins(std::move(plugins));
    QVD_CHECK(farm->load());
    return farm;
}

// At its first start a node makes the tables of its own database, which takes a while on a slow
// machine: nobody is told meanwhile to make them himself.
Result<void> Farm::load() {
    const auto limit = std::chrono::steady_clock::now() + tables_patience;
    for (;;) {
        Result<void> loaded = run(administration_->load());
        const bool waits = !loaded.ok() && loaded.error().code() == "store.no_schema" &&
                           std::chrono::steady_clock::now() < limit &&
                           store::embedded_place(view_) && node_runs(view_);
        if (!waits) return loaded;
        std::this_thread::sleep_for(tables_pause);
    }
}

admin::Async<std::shared_ptr<plugin::Balancer>> Farm::balancer() {
    if (balancer_) co_return balancer_;
    host_ = std::make_unique<plugin::Host>(loop_, administration_->view(), store_.get(), 1);
    registry_ = std::make_unique<plugin::Registry>(*host_);
    const std::string name = administration_->view().get(plugin::balancer);
    QVD_CO_TRY(auto instance, registry_->make(QVD_LOAD_BALANCER, name));
    auto made = std::make_shared<plugin::Balancer>(std::move(instance));
    QVD_CO_TRY(auto inventory, co_await plugin::take_inventory(*store_));
    host_->set_inventory(std::move(inventory));
    QVD_CO_CHECK(co_await made->init(host_->inventory()));
    balancer_ = std::move(made);
    co_return balancer_;
}

}  // namespace qvd::qa
