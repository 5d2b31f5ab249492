// Image ageing: which VMs get limits, and when they lose them.
#include "admin/at_time.hpp"
#include "tests/admin/farm.hpp"

using namespace qvd;
using namespace qvd::admin::test;
using admin::Administration;
using admin::Expired;
using admin::ExpiryTexts;

namespace {

// bob's VM desk, which runs the image that has its tag.
struct RunningFarm : Farm {
    explicit RunningFarm(const std::string& tag) {
        REQUIRE(run(admin.add_user("bob", Secret{"secret"})).ok());
        REQUIRE(add_osf("office").ok());
        const auto first = add_di("office", "one.tar");
        REQUIRE(first.ok());
        di = *first;
        const auto added = add_vm("desk", "bob", "office", "", tag);
        REQUIRE(added.ok());
        vm = *added;
        launch(vm);
    }
    // As a node does it.
    void launch(VmId which) {
        const auto node = run(store.add_node("n" + which.text(), "10.3.15." + which.text()));
        REQUIRE(node.ok());
        const auto epoch = run(store.claim_node(*node, "boot"));
        NodeLoad load;
        load.memory_total_mib = load.memory_free_mib = 4096;
        load.cpus = 2;
        REQUIRE(run(store.heartbeat(*node, *epoch, load)).ok());
        REQUIRE(run(store.set_node_state(*node, *epoch, NodeState::running, "")).ok());
        REQUIRE(run(store.order_start(which, *node)).ok());
        const auto order = run(store.take_start(which, *node));
        REQUIRE(order.ok());
        const auto incarnation = order->record.runtime.incarnation;
        REQUIRE(run(store.set_launch(which, incarnation, order->di.id, "lxc")).ok());
    }
    VmRuntime runtime(VmId which) { return run(store.vm(which)).value()->runtime; }
    Expired add(const std::string& file, const ExpiryTexts& expiry) {
        std::ofstream(folder.path + "/" + file) << "\x28\xb5\x2f\xfd and so on: zstd";
        Administration::NewDi wanted;
        wanted.path = folder.path + "/" + file;
        wanted.osf = "office";
        wanted.expiry = expiry;
        const auto added = run(admin.add_di(std::move(wanted), {}));
        REQUIRE(added.ok());
        newest = added->id;
        return added->expired;
    }
    Administration::EditedVms edit(const admin::Parameters& changes) {
        const auto edited = run(admin.edit_vms(filter("name=desk"), changes));
        REQUIRE(edited.ok());
        return *edited;
    }

    DiId di;
    DiId newest;
    VmId vm;
};

}  // namespace

TEST_CASE("a new image limits the VMs that run head, and no others") {
    RunningFarm farm("head");
    const auto other = farm.add_vm("fixed", "bob", "office", "", "default");
    REQUIRE(other.ok());
    farm.launch(*other);
    REQUIRE(farm.add_vm("idle", "bob", "office", "", "head").ok());

    const Expired expired = farm.add("two.tar", {"now", "tomorrow"});
    CHECK(expired.asked);
    CHECK(expired.vms == 1);
    REQUIRE(expired.soft);
    REQUIRE(expired.hard);
    CHECK(*expired.hard > *expired.soft);
    CHECK(farm.runtime(farm.vm).expires_soft == expired.soft);
    CHECK(farm.runtime(farm.vm).expires_hard == expired.hard);
    CHECK_FALSE(farm.runtime(*other).expires_soft);
}

TEST_CASE("without limits nothing expires, and one of both is enough") {
    RunningFarm farm("head");
    CHECK_FALSE(farm.add("two.tar", {}).asked);
    CHECK_FALSE(farm.runtime(farm.vm).expires_soft);
    const Expired expired = farm.add("three.tar", {{}, "now + 1 week"});
    CHECK(expired.vms == 1);
    CHECK_FALSE(farm.runtime(farm.vm).expires_soft);
    CHECK(farm.runtime(farm.vm).expires_hard);
}

TEST_CASE("a tag that moves limits the VMs that have it, and gives them up when it moves back") {
    RunningFarm farm("default");
    CHECK(farm.add("two.tar", {"now", {}}).vms == 0);

    const auto moved =
        farm.run(farm.admin.tag_di(farm.newest.text(), "default", {"now + 2 hours", {}}));
    REQUIRE(moved.ok());
    CHECK(moved->vms == 1);
    CHECK(farm.runtime(farm.vm).expires_soft == moved->soft);
    const auto back = farm.run(farm.admin.tag_di(farm.di.text(), "default"));
    REQUIRE(back.ok());
    CHECK_FALSE(back->asked);
    CHECK_FALSE(farm.runtime(farm.vm).expires_soft);
}

TEST_CASE("an edited VM gets limits only if it runs an older image than its tag means") {
    RunningFarm farm("default");
    CHECK(farm.edit({{"expire-soft", "now"}}).expired.vms == 0);
    CHECK_FALSE(farm.runtime(farm.vm).expires_soft);
    (void)farm.add("two.tar", {});

    CHECK(farm.edit({{"di_tag", "head"}, {"expire-soft", "now"}, {"expire-hard", "noon"}})
              .expired.vms == 1);
    CHECK(farm.runtime(farm.vm).expires_soft);
    CHECK(farm.runtime(farm.vm).expires_hard);
    // An empty text takes one away, and what is not named stays.
    CHECK(farm.edit({{"expire-hard", ""}}).expired.vms == 1);
    CHECK(farm.runtime(farm.vm).expires_soft);
    CHECK_FALSE(farm.runtime(farm.vm).expires_hard);
    CHECK(farm.edit({{"di_tag", "default"}}).expired.vms == 0);
    CHECK_FALSE(farm.runtime(farm.vm).expires_soft);
}

TEST_CASE("a wrong time is refused before anything is done") {
    RunningFarm farm("head");
    Administration::NewDi wanted;
    wanted.path = farm.folder.path + "/one.tar";
    wanted.osf = "office";
    wanted.expiry = {"soon", {}};
    CHECK(farm.code(farm.admin.add_di(wanted, {})) == "time.syntax");
    CHECK(farm.run(farm.admin.dis(Farm::filter()))->size() == 1);
    CHECK(farm.code(farm.admin.tag_di(farm.di.text(), "gold", {{}, "now - 1 day"})) == "time.past");
    CHECK(farm.run(farm.admin.dis(Farm::filter("tag=gold")))->empty());
    CHECK(farm.code(farm.admin.edit_vms(Farm::filter(), {{"name", "x"}, {"expire-hard", "?"}})) ==
          "time.syntax");
    CHECK(farm.run(farm.admin.vms(Farm::filter("name=desk")))->size() == 1);
}
