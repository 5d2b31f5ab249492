#include "farm.hpp"

#include "base/file.hpp"
#include "config/keys.hpp"
#include "plugin/keys.hpp"
#include "programs/qvd-node/configuration.hpp"
#include "store/embedded.hpp"
#include "store/postgres.hpp"

#include <qvd/load_balancer.h>

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace qvd::qa {

namespace {

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
    QVD_CHECK(farm->run(farm->administration_->load()));
    return farm;
}

std::string Farm::control_socket() const {
    return view_.get(config::path_run) + "/control.sock";
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
