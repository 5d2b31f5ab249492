// What only lxc-btrfs has: snapshots of sealed images, quotas, and removal in one go.
#include "stage.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

namespace fs = std::filesystem;
using namespace qvd::test;

namespace {

int subvolumes_below(const std::string& folder) {
    int found = 0;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
        struct stat what {};
        if (entry.is_directory() && ::stat(entry.path().c_str(), &what) == 0 && what.st_ino == 256)
            ++found;
    }
    return found;
}

}  // namespace

TEST_CASE("an image is unpacked once, into a subvolume that nobody can change") {
    Stage stage;
    CHECK(std::system(("touch " + stage.world.images("7-tiny/x") + " 2>/dev/null").c_str()) != 0);
    CHECK(subvolumes_below(stage.world.images("")) == 1);
    VmOrder vm(stage.world, 50);
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    CHECK(subvolumes_below(stage.world.changes("")) == 1);
    stage.destroy(vm);
}

TEST_CASE("a VM with a quota cannot change more than that, and says how much it has changed") {
    Stage stage([](const std::string& root) {
        boot_does(root,
                  "said=refused; dd if=/dev/urandom of=/fill bs=64k count=800 2>/dev/null &&"
                  " said=all\n"
                  "rm=/bin/busybox; $rm sync; $rm rm -f /fill; $rm sync\n"
                  "echo $said > /var/www/said\n");
    });
    SUBCASE("of its own") {
        VmOrder vm(stage.world, 51);
        vm.persistent = true;
        vm.properties["vm.lxc.btrfs.quota"] = "20";
        stage.must_start(vm);
        CHECK(fetch(vm.address(), "said", std::chrono::seconds(60)) == "refused\n");
        CHECK(eventually([&] {
            CallStandIn call;
            return stage.backend->table().usage(stage.backend->self(), vm.raw(), call.raw()) ==
                       QVD_OK &&
                   call.usage.disk_bytes > 0;
        }));
        stage.destroy(vm);
        // The next start has another limit: none.
        VmOrder next(stage.world, 51, 2);
        next.persistent = true;
        fs::remove(stage.world.changes_of(51) + "/var/www/said");
        stage.must_start(next);
        CHECK(fetch(next.address(), "said", std::chrono::seconds(60)) == "all\n");
        stage.destroy(next);
    }
    SUBCASE("that is no number") {
        VmOrder vm(stage.world, 52);
        vm.properties["vm.lxc.btrfs.quota"] = "much";
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_INVALID);
        CHECK(call.sentence.find("\"much\", which is no number of MiB") != std::string::npos);
    }
}

TEST_CASE("a home is as large as its OSF says, also after that was changed") {
    Stage stage([](const std::string& root) {
        boot_does(root,
                  "said=refused; dd if=/dev/urandom of=/home/fill bs=64k count=800 2>/dev/null &&"
                  " said=all\n"
                  "rm=/bin/busybox; $rm sync; $rm rm -f /home/fill; $rm sync\n"
                  "echo $said > /var/www/said\n");
    });
    const std::string home = stage.world.path("homefs/57-fs");
    const auto says = [&](std::uint64_t incarnation, std::uint64_t mib) {
        VmOrder vm(stage.world, 57, incarnation);
        vm.home = home;
        vm.home_bytes = mib << 20U;
        stage.must_start(vm);
        std::string said = fetch(vm.address(), "said", std::chrono::seconds(60));
        stage.destroy(vm);
        return said;
    };
    CHECK(says(1, 20) == "refused\n");
    CHECK(says(2, 200) == "all\n");
    CHECK(stage.backend->core().log().find("is no limit to its home") == std::string::npos);
    VmOrder vm(stage.world, 57, 3);
    vm.home = home;
    CallStandIn call;
    CHECK(stage.backend->table().remove_vm(stage.backend->self(), vm.raw(), call.raw()) == QVD_OK);
    CHECK_FALSE(exists(home));
    CHECK(eventually([&] { return fs::is_empty(stage.world.path("homefs")); }));

    // One that was made elsewhere has no limit, and that is told.
    fs::create_directories(stage.world.path("homefs/58-fs"));
    VmOrder other(stage.world, 58);
    other.home = stage.world.path("homefs/58-fs");
    other.home_bytes = 20U << 20U;
    stage.must_start(other);
    CHECK(fetch(other.address(), "said", std::chrono::seconds(60)) == "all\n");
    CHECK(stage.backend->core().log().find("homefs/58-fs is a plain folder") != std::string::npos);
    stage.destroy(other);
}

TEST_CASE("what a VM leaves is removed at once, with the subvolumes that its user made in it") {
    Stage stage;
    VmOrder vm(stage.world, 53);
    stage.must_start(vm);
    const std::string own = stage.world.changes_of(53);
    REQUIRE(std::system(("btrfs -q subvolume create " + own +
                         "/nested && btrfs -q subvolume "
                         "snapshot -r " +
                         own + "/nested " + own + "/nested/deeper")
                            .c_str()) == 0);
    stage.destroy(vm);
    CallStandIn call;
    const auto before = std::chrono::steady_clock::now();
    CHECK(stage.backend->table().remove_vm(stage.backend->self(), vm.raw(), call.raw()) == QVD_OK);
    CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
    CHECK_FALSE(exists(own));
    CHECK(eventually([&] { return fs::is_empty(stage.world.changes("")); }));
}

TEST_CASE("an image goes while VMs that were made of it run on") {
    Stage stage;
    VmOrder vm(stage.world, 54);
    stage.must_start(vm);
    qvd_image image{};
    image.size = sizeof image;
    const std::string target = stage.world.images("7-tiny");
    image.path = image.checksum = qvd_text("");
    image.unpacked_path = qvd_text(target.c_str());
    CallStandIn call;
    CHECK(stage.backend->table().remove_image(stage.backend->self(), &image, call.raw()) == QVD_OK);
    CHECK_FALSE(exists(target));
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    CHECK(eventually([&] { return subvolumes_below(stage.world.images("")) == 0; }));
    stage.destroy(vm);
}

TEST_CASE("a folder that is on no btrfs is refused with how to make one") {
    World world;
    SUBCASE("another file system") {
        world.configuration["path.storage.btrfs.root"] = "/mnt";
        const std::string refused = Backend(world).refused;
        CHECK_MESSAGE(refused.find("path.storage.btrfs.root /mnt must be on a btrfs, and it is on "
                                   "tmpfs; make one with `mkfs.btrfs DEVICE`") == 0,
                      refused);
        CHECK(refused.find("mount -o loop FILE /mnt") != std::string::npos);
    }
    SUBCASE("no folder") {
        world.configuration["path.storage.btrfs.root"] = "/mnt/none";
        CHECK(Backend(world).refused.find("/mnt/none does not exist") != std::string::npos);
    }
}

TEST_CASE("an image that another plugin has unpacked is refused, and nothing is left") {
    Stage stage;
    VmOrder vm(stage.world, 55);
    // An image that was unpacked by another plugin is a folder: no snapshot of it can be had.
    const std::string plain = stage.world.images("8-plain");
    fs::create_directories(plain + "/sbin");
    write_file(stage.world.images(".8-plain.complete"), "result=ok\nlayout=basic\nbytes=1\n");
    vm.unpacked_path = plain;
    CallStandIn call;
    CHECK(stage.start(vm, call) == QVD_INVALID);
    CHECK(call.sentence.find("is no subvolume") != std::string::npos);
    CHECK(stage.world.left_overs() == "");
}
