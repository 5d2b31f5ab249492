#include "bench.hpp"

#include <algorithm>

using namespace qvd;
using namespace qvd::store;
using test::Bench;

namespace {

std::string tags_of(Bench& bench, DiId di) {
    for (const DiRecord& record : bench.must(bench.store().dis())) {
        if (record.di.id != di) continue;
        std::string tags;
        for (const DiTag& tag : record.di.tags)
            tags += (tags.empty() ? "" : " ") + tag.tag + (tag.fixed ? "!" : "");
        return tags;
    }
    return "gone";
}

OsfId add_osf(Bench& bench, const std::string& name) {
    Osf osf;
    osf.name = name;
    return bench.must(bench.store().add_osf(osf));
}

}  // namespace

TEST_CASE("an osf keeps what it was given") {
    Bench bench;
    Osf osf;
    osf.name = "desktop";
    osf.memory_mib = 512;
    osf.use_overlay = false;
    osf.user_storage_mib = 2048;
    const OsfId id = bench.must(bench.store().add_osf(osf));
    const auto all = bench.must(bench.store().osfs());
    REQUIRE(all.size() == 1);
    CHECK(all[0].osf.id == id);
    CHECK(all[0].osf.memory_mib == 512);
    CHECK_FALSE(all[0].osf.use_overlay);
    CHECK(all[0].osf.user_storage_mib == 2048);
    CHECK(bench.refusal(bench.store().add_osf(osf)) == "osf.exists");
    osf.name = "other";
    osf.memory_mib = 0;
    CHECK(bench.refusal(bench.store().add_osf(osf)) == "osf.memory");
}

TEST_CASE("an osf with VMs or images stays") {
    Bench bench;
    const auto farm = bench.farm();
    CHECK(bench.refusal(bench.store().delete_osf(farm.osf)) == "osf.has_vms");
    bench.must(bench.store().delete_vm(farm.vm));
    CHECK(bench.refusal(bench.store().delete_osf(farm.osf)) == "osf.has_dis");
    bench.must(bench.store().delete_di(farm.di.id));
    bench.must(bench.store().delete_osf(farm.osf));
    CHECK(bench.refusal(bench.store().delete_osf(farm.osf)) == "osf.not_found");
}

TEST_CASE("images without a version are numbered through the day") {
    Bench bench;
    const OsfId osf = add_osf(bench, "desktop");
    const Di first = bench.must(bench.store().add_di({osf, "a.tar", ""}));
    const Di second = bench.must(bench.store().add_di({osf, "b.tar", ""}));
    REQUIRE(first.version.size() == 14);
    CHECK(first.version.ends_with("-000"));
    CHECK(second.version == first.version.substr(0, 11) + "001");
    CHECK(first.path == first.id.text() + "-a.tar");
    CHECK(first.uuid.size() == 36);
    bench.must(bench.store().delete_di(first.id));
    CHECK(bench.must(bench.store().add_di({osf, "c.tar", ""})).version == first.version);
}

TEST_CASE("the newest image is head, the first is default, and each has its version") {
    Bench bench;
    const OsfId osf = add_osf(bench, "desktop");
    const Di first = bench.must(bench.store().add_di({osf, "a.tar", "v1"}));
    CHECK(first.tags.size() == 3);
    const Di second = bench.must(bench.store().add_di({osf, "b.tar", "v2"}));
    CHECK(second.tags.size() == 2);
    CHECK(tags_of(bench, first.id) == "default v1!");
    CHECK(tags_of(bench, second.id) == "head v2!");
    CHECK(bench.refusal(bench.store().add_di({osf, "c.tar", "v2"})) == "di.version_exists");
    CHECK(bench.refusal(bench.store().add_di({osf, "c.tar", "head"})) == "di.version");
    CHECK(bench.refusal(bench.store().add_di({osf, "a/b", "v3"})) == "di.name");
    CHECK(bench.refusal(bench.store().add_di({OsfId{99999}, "c.tar", "v3"})) == "osf.not_found");
}

TEST_CASE("a tag is taken from the sibling, but not a fixed one") {
    Bench bench;
    const OsfId osf = add_osf(bench, "desktop");
    const OsfId other = add_osf(bench, "other");
    const Di first = bench.must(bench.store().add_di({osf, "a.tar", "v1"}));
    const Di second = bench.must(bench.store().add_di({osf, "b.tar", "v2"}));
    const Di foreign = bench.must(bench.store().add_di({other, "b.tar", "v2"}));
    bench.must(bench.store().tag_di(second.id, "default"));
    bench.must(bench.store().tag_di(second.id, "default"));
    CHECK(tags_of(bench, first.id) == "v1!");
    CHECK(tags_of(bench, second.id) == "default head v2!");
    CHECK(tags_of(bench, foreign.id) == "default head v2!");
    CHECK(bench.refusal(bench.store().tag_di(first.id, "v2")) == "tag.fixed");
    bench.must(bench.store().tag_di(first.id, "v1"));
    CHECK(bench.refusal(bench.store().tag_di(first.id, "a b")) == "tag.name");
    CHECK(bench.refusal(bench.store().tag_di(DiId{99999}, "x")) == "di.not_found");
}

TEST_CASE("a new image takes a tag that is its version") {
    Bench bench;
    const OsfId osf = add_osf(bench, "desktop");
    const Di first = bench.must(bench.store().add_di({osf, "a.tar", "v1"}));
    bench.must(bench.store().tag_di(first.id, "v2"));
    const Di second = bench.must(bench.store().add_di({osf, "b.tar", "v2"}));
    CHECK(tags_of(bench, first.id) == "default v1!");
    CHECK(tags_of(bench, second.id) == "head v2!");
}

TEST_CASE("tags are removed, but neither the version nor head") {
    Bench bench;
    const OsfId osf = add_osf(bench, "desktop");
    const Di di = bench.must(bench.store().add_di({osf, "a.tar", "v1"}));
    CHECK(bench.refusal(bench.store().untag_di(di.id, "v1")) == "tag.fixed");
    CHECK(bench.refusal(bench.store().untag_di(di.id, "head")) == "tag.head");
    CHECK(bench.refusal(bench.store().untag_di(di.id, "x")) == "tag.not_found");
    CHECK(bench.refusal(bench.store().untag_di(DiId{99999}, "x")) == "di.not_found");
    bench.must(bench.store().untag_di(di.id, "default"));
    CHECK(tags_of(bench, di.id) == "head v1!");
}

TEST_CASE("head and default of a deleted image go to the last other one") {
    Bench bench;
    const OsfId osf = add_osf(bench, "desktop");
    const Di first = bench.must(bench.store().add_di({osf, "a.tar", "v1"}));
    const Di second = bench.must(bench.store().add_di({osf, "b.tar", "v2"}));
    const Di third = bench.must(bench.store().add_di({osf, "c.tar", "v3"}));
    bench.must(bench.store().tag_di(third.id, "default"));
    bench.must(bench.store().tag_di(third.id, "mine"));
    bench.must(bench.store().delete_di(third.id));
    CHECK(tags_of(bench, first.id) == "v1!");
    CHECK(tags_of(bench, second.id) == "default head v2!");
    CHECK(bench.refusal(bench.store().delete_di(third.id)) == "di.not_found");
}

TEST_CASE("an image that a VM runs stays") {
    Bench bench;
    const auto farm = bench.farm();
    const StartOrder order = bench.start(farm.vm, farm.node);
    const std::int64_t incarnation = order.record.runtime.incarnation;
    bench.must(bench.store().set_launch(farm.vm, incarnation, order.di.id, "lxc-unionfs"));
    CHECK(bench.refusal(bench.store().delete_di(farm.di.id)) == "di.in_use");
    CHECK(bench.must(bench.store().dis()).front().vms_running == 1);
    CHECK(bench.vm(farm.vm).current_di->id == farm.di.id);
    bench.must(bench.store().clear_vm(
        {farm.vm, incarnation, {VmState::running}, VmState::stopped, 0, "", false, false}));
    bench.must(bench.store().delete_di(farm.di.id));
}

TEST_CASE("two images added at once are two versions, and one of them is head") {
    Bench bench;
    const OsfId osf = add_osf(bench, "desktop");
    for (int round = 0; round < 5; ++round) {
        const auto [one, other] =
            bench.race(bench.store().add_di({osf, "a", ""}), bench.store().add_di({osf, "b", ""}));
        REQUIRE(one.ok());
        REQUIRE(other.ok());
        CHECK(one->version != other->version);
    }
    int heads = 0;
    for (const DiRecord& record : bench.must(bench.store().dis()))
        heads +=
            static_cast<int>(std::ranges::count(record.di.tags, std::string("head"), &DiTag::tag));
    CHECK(heads == 1);
}

TEST_CASE("an osf is edited where something is given") {
    Bench bench;
    const OsfId id = add_osf(bench, "desktop");
    const OsfId other = add_osf(bench, "other");
    Store::OsfEdit edit;
    edit.memory_mib = 1024;
    edit.use_overlay = false;
    bench.must(bench.store().edit_osf(id, edit));
    edit = {};
    edit.name = "desk";
    edit.user_storage_mib = 4096;
    bench.must(bench.store().edit_osf(id, edit));
    const auto all = bench.must(bench.store().osfs());
    REQUIRE(all.size() == 2);
    CHECK(all[0].osf.name == "desk");
    CHECK(all[0].osf.memory_mib == 1024);
    CHECK_FALSE(all[0].osf.use_overlay);
    CHECK(all[0].osf.user_storage_mib == 4096);
    CHECK(all[1].osf.memory_mib == 256);
    edit = {};
    edit.name = "desk";
    CHECK(bench.refusal(bench.store().edit_osf(other, edit)) == "osf.exists");
    edit = {};
    edit.memory_mib = 0;
    CHECK(bench.refusal(bench.store().edit_osf(other, edit)) == "osf.memory");
    CHECK(bench.refusal(bench.store().edit_osf(OsfId{99999}, {})) == "osf.not_found");
}

TEST_CASE("an image may be added under an id that was reserved for it, with what its file is") {
    Bench bench;
    const auto farm = bench.farm();
    const DiId id = bench.must(bench.store().reserve_di());
    const DiId later = bench.must(bench.store().reserve_di());
    CHECK(later != id);
    NewDi wanted{farm.osf, "b.tar", "v2"};
    wanted.id = id;
    wanted.size_bytes = 123'456'789'012;
    wanted.checksum = "sha256:00ff";
    CHECK(bench.must(bench.store().add_di(wanted)).id == id);
    const auto all = bench.must(bench.store().dis());
    REQUIRE(all.size() == 2);
    CHECK(all[1].di.path == id.text() + "-b.tar");
    CHECK(all[1].di.size_bytes == 123'456'789'012);
    CHECK(all[1].di.checksum == "sha256:00ff");
    CHECK(all[0].vms == 1);
    CHECK(all[1].vms == 0);
    const Di next = bench.must(bench.store().add_di({farm.osf, "c.tar", "v3"}));
    CHECK(next.id != id);
    CHECK(next.id != later);
}
