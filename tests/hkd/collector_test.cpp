// What the collector removes from a node's storage, and what it never does.
#include "base/log.hpp"
#include "base/text.hpp"
#include "hkd/collector/report.hpp"
#include "tests/hkd/storehouse.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;

namespace {

constexpr std::chrono::hours day{24};

std::ptrdiff_t events(const log::Capture& capture, const std::string& event) {
    const std::vector<std::string> lines = capture.lines();
    return std::ranges::count_if(lines, [&event](const std::string& line) {
        return line.find("event=" + event + " ") != std::string::npos;
    });
}

// What the VM and the image of a storehouse have on its storage.
void furnish(Storehouse& house) {
    house.file("images/{di}-desktop.tar.gz");
    house.folder("basefs/{di}-desktop");
    house.file("basefs/.{di}-desktop.complete");
    house.file("basefs/lock.{di}-desktop");
    house.folder("overlayfs/{di}-{vm}-overlayfs");
    house.folder("overlayfs/{vm}-overlayfs-work");
    house.folder("btrfs/images/{di}-desktop");
    house.folder("btrfs/vms/{di}-{vm}-btrfs");
    house.file("overlays/{di}-{vm}-overlay.qcow2");
    house.file("suspended/{vm}.memory");
    house.folder("suspended/{vm}-checkpoint-77");
    house.folder("snapshots/{vm}/monday");
    house.folder("homefs/{vm}-fs");
    house.file("homes/{vm}-data.qcow2");
}

}  // namespace

TEST_CASE("what the database's VMs and images have stays, however old it is") {
    Storehouse house;
    furnish(house);
    house.now += 100 * day;
    CHECK(names_of(house.collect(at_once())).empty());
    CHECK(house.backend.calls.empty());
    CHECK(house.entry("overlayfs/{di}-{vm}-overlayfs").verdict.by == house.words("VM {vm} (desk)"));
    CHECK(house.entry("basefs/{di}-desktop").verdict.by == house.words("image {di} of 1 VM"));
}

TEST_CASE("of a deleted VM goes what it changed and what was saved, and its homes stay") {
    Storehouse house;
    furnish(house);
    house.delete_vm(house.vm);
    const Collection done = house.collect(at_once());
    CHECK(done.all.size() == 7);
    for (const char* const gone :
         {"overlayfs/{di}-{vm}-overlayfs", "overlayfs/{vm}-overlayfs-work",
          "btrfs/vms/{di}-{vm}-btrfs", "overlays/{di}-{vm}-overlay.qcow2", "suspended/{vm}.memory",
          "suspended/{vm}-checkpoint-77", "snapshots/{vm}"})
        CHECK_MESSAGE(!house.has(gone), gone);
    for (const char* const kept :
         {"images/{di}-desktop.tar.gz", "basefs/{di}-desktop", "homefs/{vm}-fs",
          "homes/{vm}-data.qcow2", "btrfs/images/{di}-desktop"})
        CHECK_MESSAGE(house.has(kept), kept);
    for (const char* const call :
         {"lxc-unionfs remove_vm {vm}", "lxc-btrfs remove_vm {vm}", "kvm remove_vm {vm}"})
        CHECK_MESSAGE(std::ranges::count(house.backend.calls, house.words(call)) > 0, call);
    CHECK(done.all.front().bytes.value_or(0) >= 100'000);
}

TEST_CASE("homes of deleted VMs go only where the key says so, and after its time") {
    Storehouse house;
    furnish(house);
    house.delete_vm(house.vm);
    house.set("hkd.storage.collect.homes.age", "30d");
    house.collect(at_once());
    house.now += 29 * day;
    house.collect(at_once());
    CHECK(house.has("homefs/{vm}-fs"));
    house.now += 2 * day;
    house.backend.calls.clear();
    house.collect();
    CHECK_FALSE(house.has("homefs/{vm}-fs"));
    CHECK_FALSE(house.has("homes/{vm}-data.qcow2"));
    CHECK(house.backend.calls ==
          std::vector<std::string>{house.words("kvm remove_vm {vm} home"),
                                   house.words("lxc-unionfs remove_vm {vm} home")});
}

TEST_CASE("homes by login belong to users, and a folder that is nobody's is nobody's to remove") {
    Storehouse house;
    house.folder("homefs/bob");
    house.folder("homefs/eve");
    house.folder("homefs/lost+found");
    (void)house.ask(house.store.add_user("99-fs", std::nullopt));
    house.set("hkd.storage.collect.homes.age", "1");
    house.collect();
    house.now += day;
    SUBCASE("without homes by login") {
        house.collect();
        CHECK(house.has("homefs/eve"));
        CHECK(house.entry("homefs/eve").verdict.by == "unknown");
    }
    SUBCASE("with them") {
        house.set("vm.lxc.home.per.user", "1");
        house.folder("homefs/99-fs");
        house.collect();
        house.now += day;
        CHECK(names_of(house.collect()) == std::vector<std::string>{"eve"});
        CHECK_FALSE(house.has("homefs/eve"));
        CHECK(house.has("homefs/99-fs"));
    }
    CHECK(house.has("homefs/bob"));
    CHECK(house.has("homefs/lost+found"));
}

TEST_CASE("a deleted image leaves its copies, then what VMs changed in it, and its file by a key") {
    Storehouse house;
    furnish(house);
    house.file("images/9-old.tar.gz");
    house.delete_vm(house.vm);
    house.delete_di(house.di);
    // A database that knows nothing yet could be a new one.
    CHECK(names_of(house.collect(at_once())).empty());
    (void)house.ask(house.store.add_di({house.osf, "next.tar.gz", "second"}));
    const std::vector<std::string> gone = names_of(house.collect(at_once()));
    CHECK(std::ranges::count(gone, house.words("{di}-desktop")) == 2);
    CHECK_FALSE(house.has("basefs/{di}-desktop"));
    CHECK_FALSE(house.has("btrfs/images/{di}-desktop"));
    CHECK(house.has("images/{di}-desktop.tar.gz"));
    house.set("hkd.storage.collect.images.age", "7d");
    house.now += 8 * day;
    // It was made a moment ago: somebody may be about to tell the database of it.
    CHECK(names_of(house.collect()).empty());
    CHECK(house.has("images/{di}-desktop.tar.gz"));
}

TEST_CASE("what nobody needs stays for the key's time, whether or not hkd is restarted") {
    Storehouse house;
    furnish(house);
    house.delete_vm(house.vm);
    CHECK(names_of(house.collect()).empty());
    house.now += std::chrono::hours(23);
    CHECK(names_of(house.collect()).empty());
    house.restart();
    const StockEntry& entry = house.entry("overlayfs/{di}-{vm}-overlayfs");
    CHECK_FALSE(entry.verdict.needed);
    CHECK(entry.verdict.by == house.words("VM {vm} is deleted"));
    REQUIRE(entry.goes.has_value());
    CHECK(*entry.goes > house.now);
    CHECK(*entry.goes < house.now + std::chrono::hours(2));
    CHECK_FALSE(house.entry("homefs/{vm}-fs").goes.has_value());
    house.now += std::chrono::hours(2);
    CHECK(names_of(house.collect()).size() == 7);
    CHECK_FALSE(house.has("overlayfs/{di}-{vm}-overlayfs"));
}

TEST_CASE("what is needed again begins anew") {
    Storehouse house;
    const std::int64_t next = house.vm.value() + 1;
    house.folder("overlayfs/{di}-" + std::to_string(next) + "-overlayfs");
    house.collect();
    house.now += std::chrono::hours(20);
    store::NewVm second;
    second.name = "second";
    second.user = house.user;
    second.osf = house.osf;
    second.pool_first = "10.3.15.50";
    second.pool_last = "10.3.15.254";
    const VmId vm = house.ask(house.store.add_vm(second)).value();
    REQUIRE(vm.value() == next);
    house.collect();
    house.delete_vm(vm);
    house.now += std::chrono::hours(20);
    CHECK(names_of(house.collect()).empty());
}

TEST_CASE("without the database nothing is removed, nor by a node that is not up yet") {
    Storehouse house;
    house.folder("overlayfs/deleteme-1-1-x");
    SUBCASE("no database") {
        house.store.fail_with_unavailable(true);
        CHECK(house.ask(house.collector().collect(at_once())).error().code() == "store.down");
    }
    SUBCASE("not up") {
        house.up = false;
        const auto refused = house.ask(house.collector().collect(at_once()));
        CHECK(refused.error().code() == "storage.not_ready");
    }
    CHECK(house.has("overlayfs/deleteme-1-1-x"));
}

TEST_CASE("left-overs go: discarded, half unpacked, half written, and broken-off copies") {
    Storehouse house;
    house.folder("basefs/deleteme-1-old-5-1");
    house.folder("overlayfs/deleteme-1-1-overlayfs-5-1");
    house.folder("homefs/deleteme-3-fs-5-1");
    house.folder("basefs/untar-{di}-desktop-99-7");
    house.file("basefs/lock.{di}-desktop");
    house.file("images/.incoming-0123456789abcdef");
    house.file("images/.incoming-fedcba9876543210", day);
    house.file("images/notes.txt");
    house.folder("basefs/tools");
    SUBCASE("nobody is at them") {
        const std::vector<std::string> gone = names_of(house.collect(at_once()));
        CHECK(gone.size() == 5);
        CHECK_FALSE(house.has("images/.incoming-fedcba9876543210"));
        CHECK_FALSE(house.has("basefs/deleteme-1-old-5-1"));
        CHECK_FALSE(house.has("basefs/untar-{di}-desktop-99-7"));
        // Too young: it may be growing on another node.
        CHECK(house.has("images/.incoming-0123456789abcdef"));
    }
    SUBCASE("somebody unpacks") {
        const UniqueFd lock(::open(house.path("basefs/lock.{di}-desktop").c_str(), O_RDWR));
        REQUIRE(::flock(lock.get(), LOCK_EX) == 0);
        const log::Capture capture;
        const Collection done = house.collect(at_once());
        CHECK(house.has("basefs/untar-{di}-desktop-99-7"));
        const auto failed = std::ranges::find_if(
            done.all, [](const Removal& one) { return one.problem.has_value(); });
        REQUIRE(failed != done.all.end());
        CHECK(failed->problem->code() == "storage.in_use");
        CHECK(names_of(done).size() == 4);
    }
    CHECK(house.has("images/notes.txt"));
    CHECK(house.has("basefs/tools"));
}

TEST_CASE("one thing that cannot be removed keeps nothing else, and each is told by one event") {
    Storehouse house;
    house.folder("overlayfs/deleteme-a");
    house.folder("overlayfs/{di}-97-overlayfs");
    house.folder("overlayfs/{di}-98-overlayfs");
    house.backend.refuses.insert(house.path("overlayfs/{di}-97-overlayfs"));
    const log::Capture capture;
    const Collection done = house.collect(at_once());
    CHECK(names_of(done).size() == 2);
    CHECK(house.has("overlayfs/{di}-97-overlayfs"));
    CHECK_FALSE(house.has("overlayfs/{di}-98-overlayfs"));
    CHECK(events(capture, "storage.removed") == 2);
    CHECK(events(capture, "storage.not_removed") == 1);
}

TEST_CASE("trying shows what would go, and leaves it") {
    Storehouse house;
    furnish(house);
    house.delete_vm(house.vm);
    CollectOrder order = at_once();
    order.dry_run = true;
    CHECK(house.collect(order).all.size() == 7);
    CHECK(house.backend.calls.empty());
    CHECK(house.has("overlayfs/{di}-{vm}-overlayfs"));
}

TEST_CASE("what a VM of this node has is not removed, whatever the database says") {
    Storehouse house;
    house.folder("overlayfs/{di}-97-overlayfs");
    house.used_here.insert(house.path("overlayfs/{di}-97-overlayfs"));
    CHECK(house.collect(at_once()).all.empty());
    CHECK(house.entry("overlayfs/{di}-97-overlayfs").verdict.by == "a VM of this node");
}

TEST_CASE("it waits while VMs start, and leaves what it has no time for") {
    Storehouse house;
    house.folder("overlayfs/{di}-97-overlayfs");
    SUBCASE("for a moment") {
        house.busy = 2;
        CHECK(names_of(house.collect(at_once())).size() == 1);
    }
    SUBCASE("for too long") {
        house.busy = 1000;
        CollectOrder order = at_once();
        order.patience = Milliseconds{300};
        const Collection done = house.collect(order);
        CHECK(done.all.empty());
        CHECK(done.left == 1);
        CHECK(house.has("overlayfs/{di}-97-overlayfs"));
    }
}

TEST_CASE("with too little room copies go that no VM runs from, longest unused first") {
    Storehouse house;
    const auto second = house.ask(house.store.add_di({house.osf, "second.tar.gz", "second"}));
    const std::string other = second->id.text() + "-second";
    const std::string desktop = house.words("{di}-desktop");
    house.folder("basefs/{di}-desktop");
    house.file("basefs/.{di}-desktop.complete", std::chrono::hours(1));
    house.folder("basefs/" + other);
    house.file("basefs/." + other + ".complete", std::chrono::hours(5));
    SUBCASE("enough") {
        house.set("hkd.storage.collect.space", "1");
        CHECK(house.collect().all.empty());
    }
    SUBCASE("too little") {
        house.set("hkd.storage.collect.space", "900TiB");
        CHECK(names_of(house.collect()) == std::vector<std::string>{other, desktop});
    }
    SUBCASE("one is wanted") {
        house.order_start();
        house.set("hkd.storage.collect.space", "900TiB");
        CHECK(names_of(house.collect()) == std::vector<std::string>{other});
        CHECK(house.entry("basefs/{di}-desktop").verdict.by ==
              house.words("image {di} of 1 VM, in use"));
    }
    SUBCASE("never") {
        house.set("hkd.storage.collect.space", "0");
        CHECK(house.collect().all.empty());
    }
}

TEST_CASE("a start that comes while its image is removed prepares it anew") {
    Storehouse house;
    ImagePlan image;
    image.hypervisor = "lxc-unionfs";
    image.path = house.path("images/{di}-desktop.tar.gz");
    image.unpacked_path = house.path("basefs/{di}-desktop");
    std::optional<bool> prepared;
    const auto start = [](Storehouse* node, ImagePlan wanted,
                          std::optional<bool>* there) -> boost::asio::awaitable<void> {
        Backend::Progress nobody = [](const std::string&) {};
        const auto done =
            co_await node->images.prepare(std::move(wanted), Milliseconds{1000}, std::move(nobody));
        *there = done.ok();
    };
    house.backend.meanwhile = [&] {
        spawn(house.loop.get_executor(), start(&house, image, &prepared), 0);
    };
    ImagePlan copy = image;
    REQUIRE(house.ask(house.images.remove(std::move(copy), Milliseconds{1000})).ok());
    while (!prepared) house.loop.run_one();
    CHECK(*prepared);
    CHECK(house.backend.calls ==
          std::vector<std::string>{"lxc-unionfs remove_image " + image.unpacked_path,
                                   "prepare_image " + image.unpacked_path});
}

TEST_CASE("what was of one deleted image goes at once, and nothing else") {
    Storehouse house;
    furnish(house);
    house.folder("overlayfs/deleteme-x");
    house.folder("basefs/5-other");
    CollectOrder order;
    order.di = house.di;
    CHECK(house.collect(order).all.empty());  // it is not deleted
    house.delete_di(house.di);
    const std::vector<std::string> gone = names_of(house.collect(order));
    CHECK(text::join(gone, " ") == house.words("{di}-desktop {di}-desktop {di}-{vm}-overlayfs "
                                               "{di}-{vm}-btrfs {di}-{vm}-overlay.qcow2"));
    CHECK(house.has("overlayfs/deleteme-x"));
    CHECK(house.has("basefs/5-other"));
    CHECK(house.has("images/{di}-desktop.tar.gz"));
}

TEST_CASE("the control protocol has it as documents, and refuses what it does not know") {
    Storehouse house;
    furnish(house);
    house.delete_vm(house.vm);
    const auto all = house.ask(storage_document(house.collector(), "alpha"));
    REQUIRE(all.ok());
    CHECK(all->find(R"("node":"alpha")") != std::string::npos);
    CHECK(all->find(house.words(R"("kind":"overlay","name":"{di}-{vm}-overlayfs")")) !=
          std::string::npos);
    CHECK(all->find(house.words(R"("used_by":"VM {vm} is deleted")")) != std::string::npos);
    net::Headers parameters{{"dry_run", "1"}, {"age", "0"}};
    const auto tried = house.ask(collect_document(house.collector(), "alpha", parameters));
    REQUIRE(tried.ok());
    CHECK(tried->find(R"("left":0)") != std::string::npos);
    CHECK(house.has("suspended/{vm}.memory"));
    for (const auto& wrong : {std::pair("age", "-1"), std::pair("age", "x"), std::pair("di", "0"),
                              std::pair("colour", "red"), std::pair("dry_run", "2")}) {
        net::Headers bad{{wrong.first, wrong.second}};
        const auto refused = house.ask(collect_document(house.collector(), "alpha", bad));
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code() == "storage.parameter");
    }
}
