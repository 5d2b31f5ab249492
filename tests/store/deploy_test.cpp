#include "store/deploy.hpp"

#include "bench.hpp"
#include "cluster.hpp"
#include "store/postgres.hpp"

#include <thread>

using namespace qvd;
using namespace qvd::store;
using test::Bench;
using test::shared_view;
using test::sql;

namespace {

// Whatever a test did to the schema is undone.
struct Restored {
    Restored() = default;
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;
    ~Restored() {
        if (!deploy(shared_view(), true).ok()) std::terminate();
    }
};

std::string nothing_to_migrate() {
    return "the schema is version " + std::to_string(schema_version()) +
           " already, nothing to migrate";
}

}  // namespace

TEST_CASE("a schema of an older release is migrated, and what it holds stays") {
    shared_view();
    const Restored restored;
    Bench bench;
    const auto farm = bench.farm();
    sql(shared_view(), "qvd_owner",
        "DROP TRIGGER vm_runtimes_answered ON vm_runtimes; "
        "ALTER TABLE vm_usage DROP COLUMN pid, DROP COLUMN cores; "
        "ALTER TABLE dis DROP COLUMN size, DROP COLUMN checksum; "
        "ALTER TABLE vm_runtimes DROP COLUMN last_node_id, "
        "DROP COLUMN hypervisor, DROP COLUMN reason_code, DROP COLUMN retry_at, "
        "DROP COLUMN order_argument, DROP COLUMN order_number, DROP COLUMN order_answered, "
        "DROP COLUMN order_code, DROP COLUMN order_answer, DROP COLUMN saved_path, "
        "DROP COLUMN order_taken, DROP COLUMN restarts, DROP COLUMN from_checkpoint; "
        "DROP TABLE checkpoints; DROP TRIGGER operators_changed ON operators; "
        "DROP FUNCTION announce_operators; DROP FUNCTION give_up_start; "
        "DROP FUNCTION give_up_order; "
        "DROP FUNCTION announce_vms CASCADE; "
        "UPDATE versions SET version = '1' WHERE component = 'schema'");
    const auto deployed = deploy(shared_view());
    REQUIRE(deployed.ok());
    CHECK(deployed->done.front() == "migrated to schema version 2 (002_vm_pid)");
    CHECK(schema_state(shared_view())->version == schema_version());
    CHECK(bench.vm(farm.vm).vm.name == "vm1");
}

TEST_CASE("deploying twice changes nothing the second time") {
    shared_view();
    const Restored restored;
    REQUIRE(deploy(shared_view(), true).ok());
    CHECK(schema_state(shared_view())->version == schema_version());
    Bench bench;
    bench.farm();
    const auto again = deploy(shared_view());
    REQUIRE(again.ok());
    CHECK(again->done.front() == nothing_to_migrate());
    CHECK(bench.must(bench.store().users()).size() == 1);
}

TEST_CASE("what would be lost is told before it is") {
    shared_view();
    const Restored restored;
    Bench bench;
    bench.farm();
    const auto state = schema_state(shared_view());
    REQUIRE(state.ok());
    CHECK(state->contents == "1 user, 1 virtual machine, 1 host, 1 osf, 1 image");
    REQUIRE(deploy(shared_view(), true).ok());
    CHECK(schema_state(shared_view())->contents.empty());
}

TEST_CASE("a schema of a newer release is left alone and not worked with") {
    shared_view();
    const Restored restored;
    sql(shared_view(), "qvd_owner",
        "UPDATE versions SET version = '999' WHERE component = 'schema'");
    const auto refused = deploy(shared_view());
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "store.schema_newer");
    CHECK(refused.error().sentence().find("999") != std::string::npos);
    boost::asio::io_context loop;
    auto store = open_postgres(loop.get_executor(), shared_view(), Role::owner).value();
    CHECK(test::code_on(loop, store->users()) == "store.schema_newer");
}

TEST_CASE("without a schema every call says what makes one") {
    shared_view();
    const Restored restored;
    sql(shared_view(), "qvd_owner", "DROP SCHEMA qvd CASCADE");
    CHECK(schema_state(shared_view())->version == 0);
    boost::asio::io_context loop;
    auto store = open_postgres(loop.get_executor(), shared_view(), Role::owner).value();
    CHECK(test::code_on(loop, store->users()) == "store.no_schema");
}

TEST_CASE("several deployments at once make one schema") {
    shared_view();
    const Restored restored;
    sql(shared_view(), "qvd_owner", "DROP SCHEMA qvd CASCADE");
    std::vector<std::thread> threads;
    std::vector<std::string> answers(4);
    for (std::string& answer : answers)
        threads.emplace_back([&answer] {
            const auto deployed = deploy(shared_view());
            answer = deployed.ok() ? deployed->done.front() : deployed.error().sentence();
        });
    for (std::thread& thread : threads) thread.join();
    int migrated = 0;
    for (const std::string& answer : answers) {
        if (answer == "migrated to schema version 1 (001_schema)")
            ++migrated;
        else
            CHECK(answer == nothing_to_migrate());
    }
    CHECK(migrated == 1);
}
