#include "admin/doctor/database.hpp"

#include "store/deploy.hpp"
#include "store/embedded.hpp"
#include "store/postgres.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <unistd.h>

namespace qvd::admin::doctor {

namespace {

// Nothing: it can be asked.
std::optional<Diagnosis> check_embedded(const config::View& view) {
    const auto place = store::embedded_place(view);
    if (!place) return std::nullopt;
    using State = store::EmbeddedCluster::Status::State;
    const auto status = store::EmbeddedCluster(*place).status();
    if (status.state != State::running)
        return problem("database", status.sentence,
                       "start the node: systemctl start qvd-node (any other `qa` command starts "
                       "the database, too)");
    if (::geteuid() != 0) return needs_root("database", "what the embedded database holds");
    return std::nullopt;
}

Diagnosis check_version(int version) {
    const std::string versions = "its schema has version " + std::to_string(version) +
                                 ", this program works with " +
                                 std::to_string(store::schema_version());
    if (version == store::schema_version()) return good("database.schema", versions);
    return problem("database.schema", versions,
                   version > store::schema_version() ? "install the newer release here, too"
                                                     : "run qvd-deploy-db");
}

boost::asio::awaitable<void> read(store::Store& store, DatabaseAnswer& answer, std::string& why) {
    const auto configuration = co_await store.configuration();
    if (configuration.ok()) answer.values.insert(configuration->begin(), configuration->end());
    auto facts = co_await ask_farm(store);
    if (facts.ok())
        answer.farm.emplace(std::move(*facts));
    else
        why = facts.error().sentence();
}

void ask(const config::View& view, DatabaseAnswer& answer) {
    boost::asio::io_context loop{1};
    auto store = store::open_postgres(loop.get_executor(), view, store::Role::owner);
    std::string why = store.ok() ? "" : store.error().sentence();
    if (store.ok()) {
        boost::asio::co_spawn(loop, read(**store, answer, why),
                              [&loop](const std::exception_ptr&) { loop.stop(); });
        loop.run();
    }
    if (!answer.farm)
        answer.diagnoses.push_back(problem("database.rights", why, "run qvd-deploy-db"));
}

}  // namespace

DatabaseAnswer look_into_database(const config::View& view, const std::string& file) {
    DatabaseAnswer answer;
    if (!view.check().ok()) return answer;
    if (auto closed = check_embedded(view)) {
        answer.diagnoses.push_back(std::move(*closed));
        return answer;
    }
    const auto state = store::schema_state(view);
    if (!state.ok()) {
        answer.diagnoses.push_back(
            problem("database", state.error().sentence(),
                    "look whether it runs, and at database.host, .user and .password in " + file));
        return answer;
    }
    answer.diagnoses.push_back(
        good("database",
             state->where + " answers" + (state->contents.empty() ? "" : ": " + state->contents)));
    answer.diagnoses.push_back(check_version(state->version));
    if (state->version == store::schema_version()) ask(view, answer);
    return answer;
}

}  // namespace qvd::admin::doctor
