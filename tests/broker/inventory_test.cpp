// What plugins are shown of the farm: how old it may be, and what it costs to keep it.
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::broker::test;

namespace {

using Shown = std::shared_ptr<const plugin::Inventory>;

Shown shown(Farm& farm) {
    return farm.broker->host().inventory();
}

// Until this many new ones have been taken.
bool pass(Farm& farm, int inventories) {
    for (int i = 0; i < inventories; ++i) {
        const Shown before = shown(farm);
        if (!farm.until([&] { return shown(farm) != before; })) return false;
    }
    return true;
}

qvd_vm_entry first_vm(const Shown& inventory) {
    REQUIRE(inventory->snapshot().vms.count > 0);
    return *static_cast<const qvd_vm_entry*>(qvd_array_at(&inventory->snapshot().vms, 0));
}

bool is_blocked(const Shown& inventory) {
    return (first_vm(inventory).flags & QVD_VM_ENTRY_BLOCKED) != 0;
}

// A farm whose broker takes an inventory as often as it can, and has taken its first.
struct Busy {
    Busy() { REQUIRE(pass(farm, 3)); }
    Farm farm{"", Milliseconds{1}};
};

}  // namespace

TEST_CASE("VMs are read once, however many inventories are taken while they rest") {
    Busy busy;
    Farm& farm = busy.farm;
    const Shown first = shown(farm);
    REQUIRE(pass(farm, 50));
    CHECK(farm.store->listings() == 1);
    CHECK(shown(farm)->snapshot().vms.first == first->snapshot().vms.first);
    CHECK(shown(farm)->snapshot().nodes.first != first->snapshot().nodes.first);
    CHECK(shown(farm)->snapshot().taken_at_ms >= first->snapshot().taken_at_ms);
}

TEST_CASE("a change of a VM is in the next inventory, which is the only one that is read for it") {
    Busy busy;
    Farm& farm = busy.farm;
    const Shown before = shown(farm);
    const int listings = farm.store->listings();
    REQUIRE(farm.run(farm.store->set_vm_blocked(farm.vm, true)).ok());
    REQUIRE(pass(farm, 2));
    CHECK(is_blocked(shown(farm)));
    REQUIRE(pass(farm, 50));
    CHECK(farm.store->listings() == listings + 1);
    // Who holds the former one still sees what it showed.
    CHECK_FALSE(is_blocked(before));
}

TEST_CASE("load and usage are reported all the time, and VMs are not read for them") {
    Busy busy;
    Farm& farm = busy.farm;
    farm.run_vm(4000);
    REQUIRE(pass(farm, 3));
    const int listings = farm.store->listings();
    const auto epoch = farm.run(farm.store->nodes()).value().at(0).runtime.lease_epoch;
    const auto incarnation = farm.run(farm.store->vm(farm.vm)).value()->runtime.incarnation;
    for (int i = 1; i <= 10; ++i) {
        NodeLoad load;
        load.cpus = i;
        REQUIRE(farm.run(farm.store->heartbeat(farm.node, epoch, load)).ok());
        REQUIRE(farm.run(farm.store->report_usage(farm.node, {{farm.vm, incarnation, 1.0 * i, i}}))
                    .ok());
        REQUIRE(farm.run(farm.store->agent_seen(farm.vm, incarnation)).ok());
        REQUIRE(pass(farm, 2));
        const qvd_array nodes = shown(farm)->snapshot().nodes;
        CHECK(static_cast<const qvd_node*>(qvd_array_at(&nodes, 0))->cpus ==
              static_cast<std::uint32_t>(i));
    }
    CHECK(farm.store->listings() == listings);
}

TEST_CASE("what was announced while the database was away is read when it is back") {
    Busy busy;
    Farm& farm = busy.farm;
    const int listings = farm.store->listings();
    farm.store->fail_with_unavailable(true);
    const int asked = farm.store->round_trips();
    REQUIRE(farm.until([&] { return farm.store->round_trips() > asked + 5; }));
    farm.store->fail_with_unavailable(false);
    REQUIRE(pass(farm, 50));
    CHECK(farm.store->listings() == listings + 1);
}

TEST_CASE("VMs that could not be read are read for the next inventory") {
    Farm farm;
    plugin::Inventories inventories(*farm.store);
    const auto tables = [&](bool breaks_off) {
        std::optional<Result<Shown>> taken;
        store::test::begin(farm.loop, inventories.take(), taken);
        const int asked = farm.store->listings();
        REQUIRE(farm.until([&] { return taken || farm.store->listings() > asked; }));
        farm.store->fail_with_unavailable(breaks_off);
        REQUIRE(farm.until([&] { return taken.has_value(); }));
        farm.store->fail_with_unavailable(false);
        return std::move(*taken);
    };
    farm.broker->stop();
    CHECK(tables(true).error().code() == "store.down");
    const auto second = tables(false);
    REQUIRE(second.ok());
    CHECK((*second)->snapshot().vms.count == 1);
    // What is announced while they are read may have come too late for the answer.
    const auto third = tables(false);
    REQUIRE(third.ok());
    CHECK((*third)->snapshot().vms.first == (*second)->snapshot().vms.first);
}
