// What the database itself refuses to hkd and broker, whatever their programs try.
#include "bench.hpp"
#include "cluster.hpp"
#include "store/postgres.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;
using test::shared_view;
using test::sql;

namespace {

constexpr const char* refused = "42501";

std::string as_broker(const std::string& statement) {
    return sql(shared_view(), "qvd_broker", statement);
}
std::string as_hkd(const std::string& statement) {
    return sql(shared_view(), "qvd_hkd", statement);
}

}  // namespace

TEST_CASE("the broker reads the configuration and the certificate, and writes neither") {
    CHECK(as_broker("SELECT count(*) >= 0 FROM configs, ssl_configs") == "t");
    CHECK(as_broker("INSERT INTO configs VALUES ('a', 'b')") == refused);
    CHECK(as_broker("UPDATE configs SET value = 'x'") == refused);
    CHECK(as_broker("DELETE FROM configs") == refused);
    CHECK(as_broker("INSERT INTO ssl_configs VALUES ('l7r.ssl.key', 'x')") == refused);
    CHECK(as_broker("DELETE FROM ssl_configs") == refused);
    CHECK(as_broker("UPDATE versions SET version = '2'") == refused);
}

TEST_CASE("the broker verifies and upgrades password hashes, and renames nobody") {
    CHECK(as_broker("SELECT count(password) >= 0 FROM users") == "t");
    CHECK(as_broker("UPDATE users SET password = 'x' WHERE false") == "ok");
    CHECK(as_broker("UPDATE users SET login = 'x'") == refused);
    CHECK(as_broker("DELETE FROM users") == refused);
}

TEST_CASE("the broker reads operators' hashes, and nobody but the owner changes operators") {
    CHECK(as_broker("SELECT count(password) + count(role) + count(name) >= 0 FROM operators") ==
          "t");
    CHECK(as_broker("SELECT created FROM operators") == refused);
    for (const std::string change :
         {"UPDATE operators SET role = 'administrator'", "UPDATE operators SET password = 'x'",
          "UPDATE operators SET blocked = false",
          "INSERT INTO operators (name, role) VALUES ('x', 'observer')", "DELETE FROM operators"}) {
        CHECK_MESSAGE(as_broker(change) == refused, change);
        CHECK_MESSAGE(as_hkd(change) == refused, change);
    }
    CHECK(as_hkd("SELECT name FROM operators") == refused);
    CHECK(as_broker("UPDATE roles SET meaning = ''") == refused);
}

TEST_CASE("the broker orders, but says nothing about the state of a VM") {
    CHECK(as_broker("UPDATE vm_runtimes SET command = 'stop' WHERE false") == "ok");
    for (const std::string column : {"state = 'running'", "blocked = false", "agent_token = 'x'",
                                     "incarnation = 7", "current_di_id = 1", "reason = ''"})
        CHECK_MESSAGE(as_broker("UPDATE vm_runtimes SET " + column) == refused, column);
    CHECK(as_broker("DELETE FROM vms") == refused);
    CHECK(as_broker("UPDATE vms SET user_id = 1") == refused);
    CHECK(as_broker("INSERT INTO endpoints VALUES (1, 'nx', 'tcp', '', 1)") == refused);
}

TEST_CASE("the broker changes no image, osf or node, and no property of theirs") {
    for (const std::string table : {"osfs", "dis", "di_tags", "nodes", "node_runtimes", "operators",
                                    "osf_properties", "di_properties", "node_properties"}) {
        CHECK_MESSAGE(as_broker("DELETE FROM " + table) == refused, table);
        if (table.ends_with("properties"))
            CHECK_MESSAGE(as_broker("INSERT INTO " + table + " VALUES (1, 'a', 'b')") == refused,
                          table);
    }
    CHECK(as_broker("UPDATE node_runtimes SET blocked = false") == refused);
    CHECK(as_broker("INSERT INTO osfs (name) VALUES ('x')") == refused);
}

TEST_CASE("the broker changes no checkpoint, and does not read what its agent knows") {
    CHECK(as_broker("SELECT agent_token FROM checkpoints") == refused);
    CHECK(as_broker("UPDATE checkpoints SET path = '/etc'") == refused);
    CHECK(as_broker("DELETE FROM checkpoints") == refused);
}

TEST_CASE("hkd reads no password hash, and writes none") {
    CHECK(as_hkd("SELECT count(login) >= 0 FROM users") == "t");
    CHECK(as_hkd("SELECT password FROM users") == refused);
    CHECK(as_hkd("SELECT * FROM users") == refused);
    CHECK(as_hkd("UPDATE users SET password = 'x'") == refused);
    CHECK(as_hkd("INSERT INTO users (login) VALUES ('x')") == refused);
    CHECK(as_hkd("SELECT password FROM operators") == refused);
}

TEST_CASE(
    "hkd reads no certificate, and changes neither configuration nor what the administrator "
    "wrote") {
    CHECK(as_hkd("INSERT INTO configs VALUES ('a', 'b')") == refused);
    CHECK(as_hkd("DELETE FROM ssl_configs") == refused);
    CHECK(as_hkd("SELECT key, value FROM ssl_configs") == refused);
    for (const std::string table :
         {"users", "osfs", "dis", "di_tags", "vms", "nodes", "user_properties", "vm_properties",
          "osf_properties", "di_properties", "node_properties", "sessions", "configs", "operators"})
        CHECK_MESSAGE(as_hkd("DELETE FROM " + table) == refused, table);
    CHECK(as_hkd("UPDATE vms SET name = 'x'") == refused);
    CHECK(as_hkd("UPDATE node_runtimes SET blocked = false") == refused);
    CHECK(as_hkd("UPDATE vm_runtimes SET real_user_id = 1") == refused);
}

TEST_CASE("nobody but the owner reads or changes the audit table, and both add to it") {
    for (const std::string role : {"qvd_hkd", "qvd_broker"}) {
        CHECK(sql(shared_view(), role, "SELECT count(*) FROM audit") == refused);
        CHECK(sql(shared_view(), role, "DELETE FROM audit") == refused);
        CHECK(sql(shared_view(), role,
                  "INSERT INTO audit (who, operation, subject) VALUES ('a', 'b', 'c')") == "ok");
        CHECK(sql(shared_view(), role,
                  "INSERT INTO audit (who, operation, subject, db_role) VALUES ('a', 'b', 'c', "
                  "'qvd_owner')") == refused);
    }
    CHECK(sql(shared_view(), "qvd_owner",
              "SELECT string_agg(DISTINCT db_role, ',' ORDER BY db_role) FROM audit WHERE who = "
              "'a'") == "qvd_broker,qvd_hkd");
}

TEST_CASE("nobody but the owner makes or drops tables") {
    for (const std::string role : {"qvd_hkd", "qvd_broker"}) {
        CHECK(sql(shared_view(), role, "CREATE TABLE x (a int)") == refused);
        CHECK(sql(shared_view(), role, "CREATE TABLE public.x (a int)") == refused);
        CHECK(sql(shared_view(), role, "CREATE TEMPORARY TABLE x (a int)") == refused);
        CHECK(sql(shared_view(), role, "DROP TABLE vms") == refused);
        CHECK(sql(shared_view(), role, "TRUNCATE vms") == refused);
        CHECK(sql(shared_view(), role, "ALTER TABLE vms DISABLE TRIGGER ALL") == refused);
        CHECK(sql(shared_view(), role, "SET ROLE qvd_owner") == refused);
    }
}

TEST_CASE("the socket lets in only whom the map names") {
    const std::string answer = sql(shared_view(), "root", "SELECT 1");
    CHECK(answer.find("pg_hba.conf rejects") != std::string::npos);
}

TEST_CASE("each role can do all that its program does") {
    Bench bench;
    const auto farm = bench.farm();
    auto hkd = open_postgres(bench.loop().get_executor(), shared_view(), Role::hkd).value();
    auto broker = open_postgres(bench.loop().get_executor(), shared_view(), Role::broker).value();

    const UserId bob = bench.must(broker->add_user("bob", Secret("x")));
    bench.must(broker->password_hash(bob));
    bench.must(broker->set_password_hash(bob, Secret("y")));
    const VmId vm =
        bench.must(broker->add_vm({"bobs", bob, farm.osf, "default", "", "10.5.0.1", "10.5.0.9"}));
    for (const Owner owner : {Owner::user, Owner::vm}) {
        const std::int64_t id = owner == Owner::user ? bob.value() : vm.value();
        bench.must(broker->set_properties(owner, id, {{"room", "1"}}));
        bench.must(broker->set_properties(owner, id, {{"room", "2"}}));
        bench.must(broker->set_properties(owner, id, {{"room", std::nullopt}}));
        CHECK(bench.must(broker->properties(owner, id)).empty());
    }
    bench.must(broker->operator_access("nobody"));
    bench.must(broker->configuration());
    bench.must(broker->certificate());
    bench.must(broker->nodes());
    bench.must(broker->count(farm.node, NodeCounter::auth_ok, 1));
    NewSession wanted{vm, bob, "192.0.2.1", farm.node, "w"};
    const auto session = bench.must(broker->acquire_session(wanted));
    bench.must(broker->set_real_user(vm, bob));
    bench.must(broker->order_start(vm, farm.node));

    CHECK(bench.must(hkd->pending_commands(farm.node)).size() == 1);
    const StartOrder order = bench.must(hkd->take_start(vm, farm.node));
    const std::int64_t incarnation = order.record.runtime.incarnation;
    bench.must(hkd->set_launch(vm, incarnation, order.di.id, "lxc-unionfs"));
    bench.must(hkd->property_values("vm.hypervisor"));
    bench.must(hkd->set_endpoints(vm, incarnation, "10.5.0.9", {{"agent", "tcp", "", 3030}}));
    bench.must(hkd->transition(
        {vm, incarnation, {VmState::starting}, VmState::running, 0, "", false, false}));
    bench.must(hkd->report_usage(farm.node, {{vm, incarnation, 1, 1}}));
    bench.must(hkd->report_usage(farm.node, {{vm, incarnation, 2, 2}}));
    bench.must(hkd->agent_seen(vm, incarnation));
    bench.must(hkd->forget_failures(vm, incarnation));
    for (const char* const path : {"/suspended/1", "/suspended/2"}) {
        const auto number = bench.must(broker->order(vm, VmCommand::pause, ""));
        bench.must(hkd->take_order(vm, farm.node));
        CHECK(bench.must(hkd->return_orders(farm.node, vm)) == 1);
        bench.must(hkd->take_order(vm, farm.node));
        bench.must(hkd->remember_checkpoint(vm, incarnation, path));
        bench.must(hkd->answer_order(vm, number, {"", path}));
    }
    bench.must(hkd->order_restart(vm, incarnation));

    CHECK_FALSE(bench.must(broker->agent_access(vm)).token.empty());
    bench.must(broker->agent_seen(vm, incarnation));
    bench.must(broker->session_properties(vm));
    bench.must(broker->session_connected(session.session->id));
    bench.must(broker->request_abort(vm));
    bench.must(broker->end_session(session.session->id, "done"));
    bench.must(broker->reset_sessions({SessionId{1}}));
    bench.must(broker->broker_look(farm.node, {farm.vm}));
    bench.must(broker->order_stop(vm));

    bench.must(hkd->take_stop(vm, farm.node));
    bench.must(hkd->clear_vm(
        {vm, incarnation, {VmState::running}, VmState::stopped, 0, "", false, false}));
    bench.must(broker->order_restore(vm));
    CHECK(bench.must(hkd->take_start(vm, farm.node)).checkpoint == "/suspended/2");
    bench.must(hkd->clear_vm(
        {vm, incarnation + 1, {VmState::starting}, VmState::stopped, 0, "", false, false}));
    bench.must(broker->order_start(vm, farm.node));
    bench.age_reports();
    CHECK(bench.must(broker->stranded_starts()).size() == 1);
    const NodeId other = bench.add_running_node("other", "10.3.0.78", 1024);
    bench.must(broker->move_start(vm, farm.node, other));
    bench.age_reports();
    bench.must(broker->give_up_start(vm, other, "it died"));
    CHECK(bench.refusal(hkd->give_up_start(vm, other, "it died")) == "store.denied");
    CHECK(bench.must(broker->stranded_orders()).empty());
    CHECK(bench.refusal(broker->give_up_order(vm, other, "it died")) == "vm.not_stranded");
    CHECK(bench.refusal(hkd->give_up_order(vm, other, "it died")) == "store.denied");
    bench.must(broker->vm(vm));
    const NodeId node = bench.must(hkd->add_node("self", "10.3.0.77"));
    const std::int64_t epoch = bench.must(hkd->claim_node(node, "boot"));
    bench.must(hkd->heartbeat(node, epoch, {}));
    bench.must(hkd->set_node_state(node, epoch, NodeState::running, ""));
    bench.must(hkd->sessions_on(node));
    bench.must(hkd->vms_on(node));
    bench.must(hkd->configuration());
    bench.must(hkd->audit("hkd", "x", "y"));
    CHECK(bench.refusal(hkd->password_hash(bob)) == "store.denied");
    CHECK(bench.refusal(broker->set_configuration({{"a", "b"}})) == "store.denied");
}
