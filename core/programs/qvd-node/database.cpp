#include "database.hpp"

#include "base/log.hpp"
#include "store/deploy.hpp"
#include "store/embedded.hpp"
#include "supervisor/database_role.hpp"

namespace qvd::node {

namespace {

class EmbeddedServer final : public supervisor::DatabaseServer {
public:
    EmbeddedServer(store::EmbeddedPlace place, config::View view)
        : cluster_(std::move(place)), view_(std::move(view)) {}

    Result<void> ensure_running() override {
        QVD_CHECK(cluster_.ensure_running());
        // Nobody else uses it: its schema is this program's business.
        QVD_TRY(const store::Deployment deployment, store::deploy(view_));
        for (const std::string& done : deployment.done) log::info("database.deployed", {}, done);
        for (const std::string& warning : deployment.warnings)
            log::warn("database.warning", {}, warning);
        return {};
    }
    Result<void> stop() override { return cluster_.stop(); }
    bool running() override { return cluster_.is_there(); }

private:
    store::EmbeddedCluster cluster_;
    config::View view_;
};

}  // namespace

bool has_embedded_database(const config::View& view) {
    return store::embedded_place(view).has_value();
}

int run_database(net::RoleLink link, const config::View& view) {
    auto place = store::embedded_place(view);
    if (!place) return 1;
    EmbeddedServer server(*std::move(place), view);
    return supervisor::run_database(std::move(link), server);
}

}  // namespace qvd::node
