#include "stage.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace fs = std::filesystem;
using namespace qvd::test;

TEST_CASE("a user's symbolic links in his container lead hkd nowhere on the node") {
    Stage stage([](const std::string& root) {
        fs::create_directories(root + "/outside");
        boot_does(root,
                  "rm=/bin/busybox\n$rm rm -rf /etc/qvd /etc/hostname /etc/resolv.conf\n"
                  "$rm ln -s /outside /etc/qvd\n$rm ln -s /outside/victim /etc/hostname\n"
                  "$rm ln -s ../../../../outside/victim /etc/resolv.conf\n"
                  "echo done > /var/www/done\n");
    });
    VmOrder vm(stage.world, 3);
    vm.persistent = true;
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "done") == "done\n");
    stage.destroy(vm);
    VmOrder again(stage.world, 3, 2);
    again.persistent = true;
    stage.must_start(again);
    CHECK(fetch(again.address(), "done") == "done\n");
    CHECK_FALSE(exists("/outside"));
    CHECK_FALSE(exists(stage.world.changes_of(3) + "/outside/victim"));
    stage.destroy(again);
}

TEST_CASE("killing a keeper ends its container at once, is told, and leaves nothing") {
    Stage stage;
    VmOrder vm(stage.world, 4);
    stage.must_start(vm);
    REQUIRE(fetch(vm.address(), "index.html") == "hello\n");
    ::kill(stage.state(vm).pid, SIGKILL);
    const Told told = stage.backend->core().report_of(4);
    CHECK(told.state == QVD_VM_CRASHED);
    CHECK(told.sentence.find("keeper was killed") != std::string::npos);
    CHECK(stage.world.left_overs() == "");
    CHECK(stage.state(vm).state == QVD_VM_CRASHED);
    stage.destroy(vm);
    CHECK(stage.state(vm).state == QVD_VM_STOPPED);
    VmOrder next(stage.world, 4, 2);
    stage.must_start(next);
    CHECK(fetch(next.address(), "index.html") == "hello\n");
    stage.destroy(next);
}

TEST_CASE("a container cannot have more memory than its limit, and one that dies of it says so") {
    Stage stage([](const std::string& root) {
        // Its init itself takes more than there is.
        fs::remove(root + "/sbin/init");
        write_file(root + "/sbin/init", "#!/bin/sh\nexec dd if=/dev/zero of=/dev/null bs=200M\n",
                   0755);
    });
    VmOrder vm(stage.world, 6);
    vm.memory_mib = 32;
    CallStandIn call;
    static_cast<void>(stage.start(vm, call));
    const Told told = stage.backend->core().report_of(6);
    CHECK(told.state == QVD_VM_CRASHED);
    CHECK(told.sentence == "the kernel ended it for want of memory");
    stage.destroy(vm);
}

TEST_CASE("root of a container reaches neither the node's devices nor its own limits") {
    Stage stage([](const std::string& root) {
        boot_does(root,
                  "cd /dev; mkdir /tmp/c /tmp/m\n"
                  // With ids of its own it cannot even make one.
                  "mknod disk b 254 0 ||"
                  " { echo refused > /var/www/disk; echo refused > /var/www/still; }\n"
                  "head -c1 disk 2>&1 | grep -q 'Operation not permitted' &&"
                  " echo refused > /var/www/disk\n"
                  "mount -t cgroup -o devices none /tmp/c && ! echo a > /tmp/c/devices.allow &&"
                  " echo refused > /var/www/lift\n"
                  "head -c1 disk 2>&1 | grep -q 'Operation not permitted' &&"
                  " echo refused > /var/www/still\n"
                  "echo b 254:* rwm > /tmp/c/devices.allow\n"
                  "mknod /tmp/disk b 254 0; head -c1 /tmp/disk || echo refused > /var/www/nodev\n"
                  "head -c1 /dev/fuse 2>&1 | grep -q 'Operation not permitted' ||"
                  " echo given > /var/www/fuse\n"
                  "echo 1 > /proc/sys/kernel/printk 2>/dev/null || echo refused > /var/www/proc\n"
                  "echo end > /var/www/end\n");
    });
    // Even with the right to mount.
    stage.world.configuration["vm.lxc.sys_admin"] = "1";
    stage.backend->drop();
    stage.backend = std::make_unique<Backend>(stage.world);
    VmOrder vm(stage.world, 7);
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "end") == "end\n");
    CHECK(fetch(vm.address(), "disk", std::chrono::seconds(1)) == "refused\n");
    if (exists("/sys/fs/cgroup/devices"))  // with version 2 there is no list to write to
        CHECK(fetch(vm.address(), "lift", std::chrono::seconds(1)) == "refused\n");
    CHECK(fetch(vm.address(), "still", std::chrono::seconds(1)) == "refused\n");
    CHECK(fetch(vm.address(), "nodev", std::chrono::seconds(1)) == "refused\n");
    CHECK(fetch(vm.address(), "fuse", std::chrono::seconds(1)) == "given\n");
    CHECK(fetch(vm.address(), "proc", std::chrono::seconds(1)) == "refused\n");
    stage.destroy(vm);
}

TEST_CASE(
    "root of a container without systemd mounts nothing, and writes to nothing of the kernel's") {
    Stage stage([](const std::string& root) {
        boot_does(root,
                  "mount -t tmpfs none /tmp || echo refused > /var/www/mount\n"
                  "mount -o remount,rw /proc/sys; echo 1 > /proc/sys/kernel/printk ||"
                  " echo refused > /var/www/proc\n"
                  "mount -o remount,rw /sys; echo 1 > /sys/kernel/profiling ||"
                  " echo refused > /var/www/sys\n"
                  "echo end > /var/www/end\n");
    });
    VmOrder vm(stage.world, 18);
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "end") == "end\n");
    for (const char* const what : {"mount", "proc", "sys"})
        CHECK_MESSAGE(fetch(vm.address(), what, std::chrono::seconds(1)) == "refused\n", what);
    for (const char* const suffix : {".token", ".lxc.log", ".state", ".console.log"}) {
        struct stat found {};
        const std::string path = stage.world.path("run/vm/18") + suffix;
        if (::stat(path.c_str(), &found) == 0) CHECK_MESSAGE((found.st_mode & 077) == 0, path);
    }
    stage.destroy(vm);
}

TEST_CASE("a core that died finds its containers again and hears of their end") {
    Stage stage;
    VmOrder vm(stage.world, 9);
    stage.must_start(vm);
    const int keeper = stage.state(vm).pid;
    // A second instance, as in another process: it knows nothing but the files.
    Backend second(stage.world);
    stage.backend->drop();
    CallStandIn call;
    REQUIRE(second.table().survey(second.self(), call.raw()) == QVD_OK);
    REQUIRE(call.vms.size() == 1);
    CHECK(call.vms[0].vm_id == 9);
    CHECK(call.vms[0].state == QVD_VM_RUNNING);
    CHECK(call.vms[0].pid == keeper);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    CallStandIn stop;
    CHECK(second.table().stop(second.self(), vm.raw(), stop.raw()) == QVD_OK);
    CHECK(second.core().report_of(9).state == QVD_VM_STOPPED);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("what died while no core looked is cleaned up by the next one, and told") {
    Stage stage;
    VmOrder dead(stage.world, 10);
    VmOrder alive(stage.world, 11);
    stage.must_start(dead);
    stage.must_start(alive);
    const int keeper = stage.state(dead).pid;
    stage.backend->drop();
    ::kill(keeper, SIGKILL);
    siginfo_t end{};
    ::waitid(P_PID, static_cast<id_t>(keeper), &end, WEXITED | WNOWAIT);
    fs::create_directories(stage.world.images("untar-7-gone-1-1/half"));
    fs::create_directories(stage.world.changes("deleteme-7-99-overlayfs-1-1/old"));

    Backend second(stage.world);  // collects
    CHECK_FALSE(exists(stage.world.path("rootfs/10-fs")));
    CHECK_FALSE(exists(stage.world.images("untar-7-gone-1-1")));
    CHECK(eventually([&] { return !exists(stage.world.changes("deleteme-7-99-overlayfs-1-1")); }));
    CHECK(fetch(alive.address(), "index.html") == "hello\n");
    CallStandIn call;
    REQUIRE(second.table().survey(second.self(), call.raw()) == QVD_OK);
    CHECK(call.vms.size() == 1);
    CallStandIn ending;
    CHECK(second.table().destroy_vm(second.self(), alive.raw(), ending.raw()) == QVD_OK);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("a start that fails says why and leaves nothing") {
    Stage stage([](const std::string& root) { fs::remove(root + "/sbin/init"); });
    SUBCASE("without an init") {
        VmOrder vm(stage.world, 14);
        CallStandIn call;
        const qvd_status status = stage.start(vm, call);
        if (status == QVD_OK) {  // liblxc says that it runs before it knows
            CHECK(stage.backend->core().report_of(14).state == QVD_VM_CRASHED);
        } else {
            CHECK(call.sentence.find("did not begin") != std::string::npos);
        }
    }
    SUBCASE("without its bridge") {
        VmOrder vm(stage.world, 14);
        vm.bridge = "nobridge0";
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_UNAVAILABLE);
        CHECK(call.sentence.find("no bridge nobridge0") != std::string::npos);
    }
    SUBCASE("without its image") {
        VmOrder vm(stage.world, 14);
        vm.unpacked_path = stage.world.images("8-none");
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_NOT_FOUND);
        CHECK(call.sentence.find("8-none is not unpacked") != std::string::npos);
    }
    SUBCASE("with a device that no container can have") {
        VmOrder vm(stage.world, 14);
        vm.devices.push_back(
            {sizeof(qvd_device), QVD_DEVICE_PCI, qvd_text("0000:01:00.0"), qvd_text("")});
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_UNSUPPORTED);
    }
    SUBCASE("with a line that liblxc refuses") {
        stage.world.configuration["vm.lxc.conf.extra"] = "lxc.nonsense = 1";
        stage.backend->drop();
        stage.backend = std::make_unique<Backend>(stage.world);
        VmOrder vm(stage.world, 14);
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_UNAVAILABLE);
        CHECK_MESSAGE(call.sentence.find("lxc.nonsense") != std::string::npos, call.sentence);
    }
    CHECK(eventually([&] { return stage.world.left_overs().empty(); }));
}

TEST_CASE("the configuration is checked when the plugin is made, not at the first login") {
    World world;
    SUBCASE("a union file system that it cannot do") {
        if (kind() == "btrfs") return;
        world.configuration["vm.lxc.unionfs.type"] = "aufs";
        CHECK(Backend(world).refused ==
              "vm.lxc.unionfs.type = aufs is unknown: there are overlayfs, unionfs-fuse, "
              "fuse-overlayfs and bind");
    }
    SUBCASE("storage that cannot hold overlays") {
        if (kind() != "overlayfs") return;
        fs::create_directories(world.path("low"));
        fs::create_directories(world.path("up"));
        fs::create_directories(world.path("work"));
        fs::create_directories(world.path("overlayfs"));
        const std::string mount = "mount -t overlay none -o lowerdir=" + world.path("low") +
                                  ",upperdir=" + world.path("up") +
                                  ",workdir=" + world.path("work") + " " + world.path("overlayfs");
        REQUIRE(std::system(mount.c_str()) == 0);
        const std::string refused = Backend(world).refused;
        CHECK(refused.find("it is on an overlayfs itself") != std::string::npos);
        CHECK(std::system(("umount " + world.path("overlayfs")).c_str()) == 0);
    }
    SUBCASE("a signal that does not exist") {
        world.configuration["vm.lxc.signal.halt"] = "SIGNOTHING";
        CHECK(Backend(world).refused.find("there is no signal \"SIGNOTHING\"") !=
              std::string::npos);
    }
}
