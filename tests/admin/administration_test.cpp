// The operations of core/admin on a store in memory: the farm's things.
#include "admin/values.hpp"
#include "tests/admin/farm.hpp"

using namespace qvd;
using namespace qvd::admin::test;
using admin::Administration;

TEST_CASE("a VM gets the highest free address, its owner and its image, and the audit says who") {
    Farm farm;
    farm.populate();

    const auto rows = farm.run(farm.admin.vms(Farm::filter()));
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 1);
    CHECK(value_of(rows->front(), "user") == "bob");
    CHECK(value_of(rows->front(), "ip") == "10.3.15.254");
    CHECK(value_of(rows->front(), "state") == "stopped");
    CHECK(audited(farm, "tester vm add desk"));
    CHECK(farm.admin.warnings().empty());
}

TEST_CASE("a VM whose tag no image has is made with a warning") {
    Farm farm;
    farm.populate();

    REQUIRE(farm.add_vm("desk2", "bob", "office", "", "beta").ok());
    REQUIRE(farm.admin.warnings().size() == 1);
    CHECK(farm.admin.warnings().front().find("\"beta\"") != std::string::npos);
}

TEST_CASE("a VM is refused without owner, with a foreign address and under a name in use") {
    Farm farm;
    farm.populate();

    CHECK(farm.add_vm("a", "nobody", "office").error().code() == "user.not_found");
    CHECK(farm.add_vm("a", "bob", "none").error().code() == "osf.not_found");
    CHECK(farm.add_vm("a", "", "office").error().code() == "parameter.exclusive");
    CHECK(farm.add_vm("", "bob", "office").error().code() == "vm.name");
    CHECK(farm.add_vm("a", "bob", "office", "10.3.15.7").error().code() == "vm.ip");
    CHECK(farm.add_vm("a", "bob", "office", "10.3.15.254").error().code() == "address.taken");
    CHECK(farm.add_vm("desk", "bob", "office").error().code() == "vm.exists");
}

TEST_CASE("what is in use is left alone when it is deleted, and named with the reason") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.run(farm.admin.add_user("alice", Secret{"x"})).ok());

    const auto users = farm.run(farm.admin.delete_users(Farm::filter()));
    REQUIRE(users.ok());
    CHECK(users->count == 1);
    REQUIRE(users->skipped.size() == 1);
    CHECK(users->skipped.front().starts_with("user bob: "));
    const auto osfs = farm.run(farm.admin.delete_osfs(Farm::filter()));
    REQUIRE(osfs.ok());
    CHECK(osfs->count == 0);
    CHECK(osfs->skipped.size() == 1);

    CHECK(farm.run(farm.admin.delete_vms(Farm::filter()))->count == 1);
    CHECK(farm.run(farm.admin.delete_dis(Farm::filter()))->count == 1);
    CHECK(farm.run(farm.admin.delete_osfs(Farm::filter()))->count == 1);
    CHECK(farm.run(farm.admin.delete_users(Farm::filter("login=b*")))->count == 1);
}

TEST_CASE("VMs are edited one by one where a value can be only one VM's") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.add_vm("desk2", "bob", "office").ok());

    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"name", "x"}})) == "vm.edit");
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"color", "x"}})) == "vm.edit");
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"di_tag", ""}})) == "tag.name");
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {})) == "vm.edit");
    CHECK(farm.run(farm.admin.edit_vms(Farm::filter("name=desk2"), {{"name", "desk3"}}))->count ==
          1);
    CHECK(farm.run(farm.admin.vms(Farm::filter("name=desk3")))->size() == 1);
    CHECK(farm.run(farm.admin.edit_vms(Farm::filter(), {{"di_tag", "head"}}))->count == 2);
}

TEST_CASE("a stopped VM gets another owner and another osf") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.run(farm.admin.add_user("eve", Secret{"secret"})).ok());
    REQUIRE(farm.add_osf("lab").ok());

    const admin::Parameters changes{{"user", "eve"}, {"osf", "lab"}};
    CHECK(farm.run(farm.admin.edit_vms(Farm::filter(), changes))->count == 1);
    CHECK(farm.run(farm.admin.vms(Farm::filter("user=eve,osf=lab")))->size() == 1);
    CHECK(farm.admin.warnings().size() == 1);  // the lab has no images
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"user", "nobody"}})) == "user.not_found");
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"ip", "10.3.15.7"}})) == "vm.ip");
}

TEST_CASE("osfs are edited, one by one where a value can be only one osf's") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.add_osf("lab").ok());
    const auto edit = [&farm](const std::string& filter, const admin::Parameters& changes) {
        return farm.admin.edit_osfs(Farm::filter(filter), changes);
    };
    CHECK(farm.run(edit("", {{"memory", "1G"}, {"use_overlay", "no"}})).value() == 2);
    CHECK(farm.run(edit("name=lab", {{"name", "labs"}, {"user_storage_size", "2G"}})).value() == 1);
    const auto rows = farm.run(farm.admin.osfs(Farm::filter("name=labs,memory=1024")));
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 1);
    CHECK(value_of(rows->front(), "user_storage_size") == "2048");
    CHECK(value_of(rows->front(), "use_overlay") == "0");
    CHECK(audited(farm, "tester osf edit lab"));
    CHECK(farm.code(edit("", {})) == "osf.edit");
    CHECK(farm.code(edit("", {{"name", "x"}})) == "osf.edit");
    CHECK(farm.code(edit("", {{"colour", "x"}})) == "osf.edit");
    CHECK(farm.code(edit("", {{"memory", "8"}})) == "osf.memory");
    CHECK(farm.code(edit("name=labs", {{"name", "office"}})) == "osf.exists");
}

TEST_CASE("the load of nodes and the usage of VMs are shown where they were reported") {
    Farm farm;
    farm.populate();
    const NodeId node = farm.run(farm.admin.add_host("n1", "10.3.15.1")).value();
    CHECK(farm.run(farm.admin.hosts(Farm::filter()))->front().find("cpu")->shown() == "-");
    const auto epoch = farm.run(farm.store.claim_node(node, "boot")).value();
    NodeLoad load;
    load.memory_total_mib = 4096;
    load.memory_free_mib = 3072;
    load.cpus = 4;
    load.cpu_idle = 0.25;
    REQUIRE(farm.run(farm.store.heartbeat(node, epoch, load)).ok());
    const auto hosts = farm.run(farm.admin.hosts(Farm::filter()));
    REQUIRE(hosts.ok());
    CHECK(value_of(hosts->front(), "cpus") == "4");
    CHECK(value_of(hosts->front(), "cpu") == "75");
    CHECK(value_of(hosts->front(), "ram_used") == "1024");
    CHECK(farm.run(farm.admin.vms(Farm::filter()))->front().find("cpu")->shown() == "-");
    store::VmRecord busy;
    busy.cpu_cores = 1.5;
    busy.cpu_seconds = 12;
    busy.memory_bytes = 300LL << 20;
    const admin::Row row = admin::row_of(busy);
    CHECK(value_of(row, "cpu") == "150");
    CHECK(value_of(row, "cpu_seconds") == "12");
    CHECK(value_of(row, "memory_used") == "300");
}

TEST_CASE("VMs are blocked; those that do not run cannot be stopped or disconnected") {
    Farm farm;
    farm.populate();

    CHECK(farm.run(farm.admin.block_vms(Farm::filter(), true)).value() == 1);
    CHECK(value_of(farm.run(farm.admin.vms(Farm::filter()))->front(), "blocked") == "1");
    const auto stopped = farm.run(farm.admin.stop_vms(Farm::filter()));
    REQUIRE(stopped.ok());
    CHECK(stopped->count == 0);
    CHECK(stopped->skipped.size() == 1);
    CHECK(farm.run(farm.admin.disconnect_users(Farm::filter()))->skipped.size() == 1);
}

TEST_CASE("hosts are added, listed, blocked and deleted") {
    Farm farm;
    REQUIRE(farm.run(farm.admin.add_host("n1", "10.3.15.1")).ok());

    CHECK(farm.code(farm.admin.add_host("", "10.3.15.2")) == "host.name");
    CHECK(farm.code(farm.admin.add_host("n2", "nonsense")) != "ok");
    CHECK(farm.code(farm.admin.add_host("n1", "10.3.15.2")) == "node.exists");
    CHECK(farm.run(farm.admin.block_hosts(Farm::filter("name=n?"), true)).value() == 1);
    const auto rows = farm.run(farm.admin.hosts(Farm::filter()));
    REQUIRE(rows.ok());
    CHECK(value_of(rows->front(), "blocked") == "1");
    CHECK(farm.run(farm.admin.delete_hosts(Farm::filter()))->count == 1);
}

TEST_CASE("a host that lives is left alone, one that was stopped is deleted") {
    Farm farm;
    const auto node = farm.run(farm.admin.add_host("n1", "10.3.15.1"));
    REQUIRE(node.ok());
    const auto epoch = farm.run(farm.store.claim_node(*node, "boot"));
    REQUIRE(farm.run(farm.store.heartbeat(*node, *epoch, {})).ok());

    const auto refused = farm.run(farm.admin.delete_hosts(Farm::filter()));
    REQUIRE(refused.ok());
    CHECK(refused->count == 0);
    REQUIRE(refused->skipped.size() == 1);
    CHECK(refused->skipped.front().find("stop its qvd-node first") != std::string::npos);
    REQUIRE(farm.run(farm.store.set_node_state(*node, *epoch, NodeState::stopped, "")).ok());
    CHECK(farm.run(farm.admin.delete_hosts(Farm::filter()))->count == 1);
}

TEST_CASE("users are normalised, and an empty password is refused") {
    Farm farm;
    CHECK(farm.code(farm.admin.add_user(" Bob ", Secret{"x"})) == "ok");
    CHECK(farm.code(farm.admin.add_user("bob", Secret{"x"})) == "user.exists");
    CHECK(farm.code(farm.admin.add_user("a:b", Secret{"x"})) == "user.login");
    CHECK(farm.code(farm.admin.add_user("carl", Secret{""})) == "password.empty");
    CHECK(farm.code(farm.admin.set_password("nobody", Secret{"x"})) == "user.not_found");
    CHECK(farm.code(farm.admin.set_password("bob", Secret{"y"})) == "ok");
}

TEST_CASE("an osf is shown with yes, no and -, and keeps its values for programs") {
    Farm farm;
    REQUIRE(farm.add_osf("office").ok());
    const auto rows = farm.run(farm.admin.osfs(Farm::filter()));
    REQUIRE(rows.ok());
    CHECK(rows->front().find("use_overlay")->shown() == "yes");
    CHECK(value_of(rows->front(), "use_overlay") == "1");
    CHECK(rows->front().find("user_storage_size")->shown() == "-");
    CHECK(value_of(rows->front(), "user_storage_size") == "0");
}

TEST_CASE("sizes are MiB, or have a suffix") {
    CHECK(admin::parse_size_mib("512").value() == 512);
    CHECK(admin::parse_size_mib("2G").value() == 2048);
    CHECK(admin::parse_size_mib("2GiB").value() == 2048);
    CHECK(admin::parse_size_mib("2gb").value() == 2048);
    CHECK(admin::parse_size_mib("1K").value() == 1);
    for (const char* const wrong : {"", "G", "-1", "2X", "512B", "1.5G", "99999999999999999999"})
        CHECK(admin::parse_size_mib(wrong).error().code() == "size.syntax");
}

TEST_CASE("an osf with too little memory or a wrong size is refused") {
    Farm farm;
    CHECK(farm.add_osf("a", "8").error().code() == "osf.memory");
    CHECK(farm.add_osf("a", "lots").error().code() == "size.syntax");
    CHECK(farm.add_osf("").error().code() == "osf.name");
    REQUIRE(farm.add_osf("a", "1G", "2G").ok());
    const auto rows = farm.run(farm.admin.osfs(Farm::filter()));
    REQUIRE(rows.ok());
    CHECK(value_of(rows->front(), "memory") == "1024");
    CHECK(value_of(rows->front(), "user_storage_size") == "2048");
}

TEST_CASE("without the database every operation says so") {
    Farm farm;
    farm.store.fail_with_unavailable(true);
    CHECK(farm.code(farm.admin.load()) == "store.down");
    CHECK(farm.code(farm.admin.vms(Farm::filter())) == "store.down");
    CHECK(farm.code(farm.admin.add_host("n", "10.3.15.1")) == "store.down");
}

TEST_CASE("an osf gets what is not said as configured") {
    Farm farm;
    const admin::Parameters defaults{{"osf.default.memory", "384"}, {"osf.default.overlay", "0"}};
    REQUIRE(farm.code(farm.admin.set_configuration(defaults)) == "ok");
    REQUIRE(farm.add_osf("plain", "").ok());
    const auto rows = farm.run(farm.admin.osfs(Farm::filter()));
    REQUIRE(rows.ok());
    CHECK(value_of(rows->front(), "memory") == "384");
    CHECK(value_of(rows->front(), "use_overlay") == "0");
}

TEST_CASE(
    "operators are added with a role, edited, blocked, and given passwords that nobody reads") {
    Farm farm;
    REQUIRE(farm.run(farm.admin.add_operator("ann", "operator", Secret("one"))).ok());
    CHECK(audited(farm, "tester operator add ann operator"));
    CHECK(farm.code(farm.admin.add_operator("ann", "observer", Secret("x"))) == "operator.exists");
    CHECK(farm.code(farm.admin.add_operator("a b", "observer", Secret("x"))) == "operator.name");
    CHECK(farm.code(farm.admin.add_operator("ben", "chief", Secret("x"))) == "operator.role");
    CHECK(farm.code(farm.admin.add_operator("ben", "observer", Secret())) == "password.empty");
    const auto before = farm.run(farm.store.operator_access("ann")).value();
    CHECK(before->password_hash.reveal().starts_with("$argon2id$"));
    REQUIRE(farm.run(farm.admin.set_operator_password("ann", Secret("two"))).ok());
    CHECK_FALSE(farm.run(farm.store.operator_access("ann"))
                    .value()
                    ->password_hash.equals(before->password_hash.reveal()));
    CHECK(farm.code(farm.admin.set_operator_password("bob", Secret("x"))) == "operator.not_found");
    CHECK(farm.run(farm.admin.edit_operators(Farm::filter("name=ann"),
                                             {{"role", "administrator"}, {"blocked", "yes"}}))
              .value() == 1);
    CHECK(audited(farm, "tester operator edit ann blocked=yes role=administrator"));
    CHECK(farm.code(farm.admin.edit_operators(Farm::filter(), {})) == "usage");
    const auto rows = farm.run(farm.admin.operators(Farm::filter("blocked=yes"))).value();
    REQUIRE(rows.size() == 1);
    CHECK(rows.front().find("role")->value == "administrator");
    CHECK(rows.front().find("password") == nullptr);
    CHECK(farm.run(farm.admin.delete_operators(Farm::filter("name=a*"))).value().count == 1);
    CHECK(farm.run(farm.admin.operators(Farm::filter())).value().empty());
}
