#include "bench.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;

TEST_CASE("a new VM gets the highest free address and all of its rows") {
    Bench bench;
    const auto farm = bench.farm();
    const VmId second = bench.add_vm(farm, "vm2");
    const VmRecord record = bench.vm(second);
    CHECK(bench.vm(farm.vm).vm.address == "10.3.1.250");
    CHECK(record.vm.address == "10.3.1.249");
    CHECK(record.vm.uuid.size() == 36);
    CHECK(record.vm.di_tag == "default");
    CHECK(record.user.login == "ann");
    CHECK(record.osf.name == "desktop");
    CHECK(record.di->id == farm.di.id);
    CHECK(record.runtime.state == VmState::stopped);
    CHECK_FALSE(record.runtime.node.has_value());
    CHECK(record.runtime.incarnation == 0);
    bench.must(bench.store().delete_vm(farm.vm));
    CHECK(bench.vm(bench.add_vm(farm, "vm3")).vm.address == "10.3.1.250");
}

TEST_CASE("when the addresses are used up, that is said") {
    Bench bench;
    const auto farm = bench.farm();
    NewVm vm{"x", farm.user, farm.osf, "default", "", "10.3.2.1", "10.3.2.1"};
    bench.must(bench.store().add_vm(vm));
    vm.name = "y";
    CHECK(bench.refusal(bench.store().add_vm(vm)) == "address.none_free");
    vm.pool_first = "nonsense";
    CHECK(bench.refusal(bench.store().add_vm(vm)) == "address.invalid");
}

TEST_CASE("names and addresses of VMs are single, and their owners exist") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    NewVm vm{"x", farm.user, farm.osf, "default", "10.3.2.1", "", ""};
    bench.must(store.add_vm(vm));
    CHECK(bench.refusal(store.add_vm(vm)) == "vm.exists");
    vm.name = "y";
    CHECK(bench.refusal(store.add_vm(vm)) == "address.taken");
    vm.address = "10.3.2.2/24";
    CHECK(bench.refusal(store.add_vm(vm)) == "address.invalid");
    vm.address = "10.3.2.2";
    vm.user = UserId{99999};
    CHECK(bench.refusal(store.add_vm(vm)) == "user.not_found");
    vm.user = farm.user;
    vm.osf = OsfId{99999};
    CHECK(bench.refusal(store.add_vm(vm)) == "osf.not_found");
}

TEST_CASE("VMs are listed all, by user and by node") {
    Bench bench;
    const auto farm = bench.farm();
    const UserId bob = bench.must(bench.store().add_user("bob", std::nullopt));
    bench.must(bench.store().add_vm({"b", bob, farm.osf, "head", "10.3.2.1", "", ""}));
    bench.start(farm.vm, farm.node);
    CHECK(bench.must(bench.store().vms()).size() == 2);
    const auto his = bench.must(bench.store().vms_of(bob));
    REQUIRE(his.size() == 1);
    CHECK(his[0].vm.name == "b");
    const auto there = bench.must(bench.store().vms_on(farm.node));
    REQUIRE(there.size() == 1);
    CHECK(there[0].node_name == "node1");
    CHECK(bench.must(bench.store().vms_on(NodeId{99999})).empty());
    CHECK_FALSE(bench.must(bench.store().vm(VmId{99999})).has_value());
}

TEST_CASE("editing a VM changes what is given and nothing else") {
    Bench bench;
    const auto farm = bench.farm();
    bench.add_vm(farm, "vm2");
    Store::VmEdit edit;
    edit.name = "new";
    bench.must(bench.store().edit_vm(farm.vm, edit));
    const VmRecord record = bench.vm(farm.vm);
    CHECK(record.vm.name == "new");
    CHECK(record.vm.address == "10.3.1.250");
    edit.name = "vm2";
    CHECK(bench.refusal(bench.store().edit_vm(farm.vm, edit)) == "vm.exists");
    Store::VmEdit moved;
    moved.address = "10.3.1.249";
    CHECK(bench.refusal(bench.store().edit_vm(farm.vm, moved)) == "address.taken");
    moved.address = "10.3.1.9";
    moved.di_tag = "head";
    bench.must(bench.store().edit_vm(farm.vm, moved));
    CHECK(bench.vm(farm.vm).vm.address == "10.3.1.9");
    CHECK(bench.vm(farm.vm).vm.di_tag == "head");
    CHECK(bench.refusal(bench.store().edit_vm(VmId{99999}, moved)) == "vm.not_found");
}

TEST_CASE("only a VM at rest is deleted") {
    Bench bench;
    const auto farm = bench.farm();
    bench.must(bench.store().order_start(farm.vm, farm.node));
    CHECK(bench.refusal(bench.store().delete_vm(farm.vm)) == "vm.not_stopped");
    const StartOrder order = bench.must(bench.store().take_start(farm.vm, farm.node));
    CHECK(bench.refusal(bench.store().delete_vm(farm.vm)) == "vm.not_stopped");
    bench.must(bench.store().clear_vm({farm.vm,
                                       order.record.runtime.incarnation,
                                       {VmState::starting},
                                       VmState::failed,
                                       0,
                                       "",
                                       false,
                                       false}));
    bench.must(bench.store().delete_vm(farm.vm));
    CHECK(bench.refusal(bench.store().delete_vm(farm.vm)) == "vm.not_found");
}

TEST_CASE("blocking is a flag of its own") {
    Bench bench;
    const auto farm = bench.farm();
    bench.must(bench.store().set_vm_blocked(farm.vm, true));
    CHECK(bench.vm(farm.vm).runtime.blocked);
    bench.must(bench.store().set_vm_blocked(farm.vm, false));
    CHECK_FALSE(bench.vm(farm.vm).runtime.blocked);
    CHECK(bench.refusal(bench.store().set_vm_blocked(VmId{99999}, true)) == "vm.not_found");
}

TEST_CASE("two VMs added at once have two addresses") {
    Bench bench;
    const auto farm = bench.farm();
    for (int round = 0; round < 10; ++round) {
        const std::string name = "r" + std::to_string(round);
        const NewVm one{name + "a", farm.user, farm.osf, "default", "", "10.4.0.1", "10.4.0.250"};
        NewVm other = one;
        other.name = name + "b";
        const auto [first, second] =
            bench.race(bench.store().add_vm(one), bench.store().add_vm(other));
        REQUIRE(first.ok());
        REQUIRE(second.ok());
    }
    CHECK(bench.must(bench.store().vms()).size() == 21);
}

TEST_CASE("a VM changes its owner and its osf only at rest") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const UserId user = bench.must(store.add_user("eve", std::nullopt));
    Osf osf;
    osf.name = "other";
    const OsfId other = bench.must(store.add_osf(osf));
    Store::VmEdit edit;
    edit.user = user;
    edit.osf = other;
    bench.must(store.edit_vm(farm.vm, edit));
    CHECK(bench.vm(farm.vm).user.login == "eve");
    CHECK(bench.vm(farm.vm).osf.name == "other");
    edit.user = UserId{99999};
    CHECK(bench.refusal(store.edit_vm(farm.vm, edit)) == "user.not_found");
    edit = {};
    edit.osf = farm.osf;
    bench.must(store.edit_vm(farm.vm, edit));
    bench.start(farm.vm, farm.node);
    CHECK(bench.refusal(store.edit_vm(farm.vm, edit)) == "vm.not_stopped");
    edit = {};
    edit.name = "renamed";
    bench.must(store.edit_vm(farm.vm, edit));
    CHECK(bench.vm(farm.vm).vm.name == "renamed");
    CHECK(bench.refusal(store.edit_vm(VmId{99999}, edit)) == "vm.not_found");
}

TEST_CASE("runs are limited while they use another image than their tag means") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const VmId idle = bench.add_vm(farm, "idle");
    const StartOrder order = bench.start(farm.vm, farm.node);
    const auto incarnation = order.record.runtime.incarnation;
    bench.must(store.set_launch(farm.vm, incarnation, order.di.id, "lxc"));
    const Timestamp soft = std::chrono::sys_days{std::chrono::year{2030} / 1 / 2};
    Expiry expiry;
    expiry.soft.emplace(soft);
    expiry.hard.emplace(soft + std::chrono::minutes(90));
    const std::set<VmId> all{farm.vm, idle, VmId{99999}};

    CHECK(bench.must(store.set_expiry(all, expiry)).empty());
    CHECK_FALSE(bench.vm(farm.vm).runtime.expires_soft);
    const Di next = bench.must(store.add_di({farm.osf, "b.tar", "v2"}));
    bench.must(store.tag_di(next.id, "default"));
    CHECK(bench.must(store.set_expiry(all, expiry)) == std::set<VmId>{farm.vm});
    CHECK(bench.vm(farm.vm).runtime.expires_soft == soft);
    CHECK(bench.vm(farm.vm).runtime.expires_hard == soft + std::chrono::minutes(90));
    CHECK_FALSE(bench.vm(idle).runtime.expires_soft);

    // What is not said stays; nothing takes a limit away.
    expiry = {};
    expiry.hard.emplace(std::nullopt);
    CHECK(bench.must(store.set_expiry({farm.vm}, expiry)).size() == 1);
    CHECK(bench.vm(farm.vm).runtime.expires_soft == soft);
    CHECK_FALSE(bench.vm(farm.vm).runtime.expires_hard);
    // And so does the tag's way back.
    bench.must(store.tag_di(farm.di.id, "default"));
    CHECK(bench.must(store.set_expiry({farm.vm}, {})).empty());
    CHECK_FALSE(bench.vm(farm.vm).runtime.expires_soft);
}

TEST_CASE("how busy a VM is comes from its node's last two reports") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const auto incarnation = bench.start(farm.vm, farm.node).record.runtime.incarnation;
    bench.must(store.report_usage(farm.node, {{farm.vm, incarnation, 10, 1 << 20, 1}}));
    CHECK(bench.vm(farm.vm).cpu_cores == 0);
    bench.must(store.report_usage(farm.node, {{farm.vm, incarnation, 12, 1 << 20, 1}}));
    CHECK(bench.vm(farm.vm).cpu_cores > 0);
    bench.must(store.report_usage(farm.node, {{farm.vm, incarnation, 12, 1 << 20, 1}}));
    CHECK(bench.vm(farm.vm).cpu_cores == 0);
}
