#include "tests/skip.hpp"
#include "world.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

using namespace qvd::test;

namespace {

std::chrono::milliseconds span_of(const std::function<void()>& what) {
    const auto before = std::chrono::steady_clock::now();
    what();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 before);
}

}  // namespace

TEST_CASE("without libvirtd every call says so at once, and works once it is there") {
    const World world;
    const std::string image = world.make_image();
    Backend backend(world);
    REQUIRE(backend.refused == "");
    VmOrder vm(world, 1);
    CallStandIn survey;
    CHECK(span_of([&] {
              CHECK(backend.table().survey(backend.self(), survey.raw()) == QVD_UNAVAILABLE);
          }) < std::chrono::seconds(5));
    CHECK(survey.sentence.find("there is no libvirt at qemu:///system: ") == 0);
    CHECK(survey.sentence.find("does libvirtd run?") != std::string::npos);
    CallStandIn start;
    CHECK(backend.table().start(backend.self(), vm.raw(), start.raw()) == QVD_UNAVAILABLE);
    CHECK(world.left_overs() == "");

    const Libvirtd libvirtd;
    CallStandIn again;
    CHECK(backend.table().survey(backend.self(), again.raw()) == QVD_OK);
    CHECK(again.vms.empty());
}

TEST_CASE("a libvirtd that hangs or is killed costs no guest, and no call more than its time") {
    Stage stage;
    VmOrder vm(stage.world, 2);
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");

    stage.libvirtd.hang();
    CallStandIn hung{std::chrono::milliseconds(700)};
    CHECK(span_of([&] { CHECK(stage.call(&qvd_hypervisor::state, vm, hung) == QVD_UNAVAILABLE); }) <
          std::chrono::seconds(4));
    CHECK(hung.sentence == "libvirt at qemu:///system did not answer in time");
    CallStandIn turn{std::chrono::milliseconds(300)};
    CHECK(stage.call(&qvd_hypervisor::stop, vm, turn) == QVD_UNAVAILABLE);
    CHECK(turn.sentence.find("has not finished an earlier order") != std::string::npos);
    stage.libvirtd.go_on();
    CHECK(stage.state(vm).state == QVD_VM_RUNNING);

    stage.libvirtd.kill();
    CallStandIn gone{std::chrono::seconds(5)};
    CHECK(stage.call(&qvd_hypervisor::state, vm, gone) == QVD_UNAVAILABLE);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    stage.libvirtd.start();
    CHECK(stage.state(vm).state == QVD_VM_RUNNING);
    CHECK(stage.survey().size() == 1);

    stage.libvirtd.kill();
    CHECK(vm.asks("halt") == "halting\n");
    CHECK(
        eventually([&] { return fetch(vm.address(), "", std::chrono::milliseconds(0)).empty(); }));
    stage.libvirtd.start();
    const Told told = stage.backend->core().report_of(2, std::chrono::seconds(30));
    CHECK(told.vm_id == 2);
    CHECK(told.state != QVD_VM_RUNNING);
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    CHECK(stage.world.left_overs() == "");
    CHECK(stage.backend->core().log().find("is there again") != std::string::npos);
}

TEST_CASE("a libvirtd that is killed while an instance takes its leave harms nothing") {
    Libvirtd libvirtd;
    const World world;
    for (int round = 0; round < 20; ++round) {
        Backend backend(world);
        REQUIRE(backend.refused == "");
        CallStandIn survey;
        REQUIRE(backend.table().survey(backend.self(), survey.raw()) == QVD_OK);
        std::thread killer([&libvirtd] { libvirtd.kill(); });
        std::this_thread::sleep_for(std::chrono::microseconds(100) * round);
        CHECK(span_of([&] { backend.drop(); }) < std::chrono::seconds(2));
        killer.join();
        libvirtd.start();
    }
}

TEST_CASE("a VM that cannot be is refused with a sentence, and nothing of it is left") {
    Stage stage;
    VmOrder vm(stage.world, 3);
    const auto refused = [&](qvd_status status) {
        CallStandIn call;
        CHECK(stage.call(&qvd_hypervisor::start, vm, call) == status);
        CHECK(stage.world.left_overs() == "");
        return call.sentence;
    };
    vm.bridge = "nobridge0";
    CHECK(refused(QVD_UNAVAILABLE) ==
          "there is no bridge nobridge0 on this node (vm.network.bridge)");
    vm.bridge = bridge_name();
    vm.image = stage.world.path("images/none.qcow2");
    CHECK(refused(QVD_NOT_FOUND).find("images/none.qcow2: No such file") != std::string::npos);
    write_file(vm.image, "this is not an image");
    CHECK(refused(QVD_INVALID).find("it is no qcow2 image") != std::string::npos);
    vm.format = QVD_FORMAT_TAR;
    CHECK(refused(QVD_UNSUPPORTED).find("qcow2 or raw disk image") != std::string::npos);
    vm.format = QVD_FORMAT_QCOW2;
    vm.image = stage.image;
    vm.properties = {{"vm.kvm.kernel", "/nowhere/vmlinux"}};
    CHECK(refused(QVD_NOT_FOUND).find("/nowhere/vmlinux") != std::string::npos);
    vm.properties = {{"vm.kvm.accel", "warp"}};
    CHECK(refused(QVD_INVALID) == "vm.kvm.accel is one of auto, kvm, tcg, not \"warp\"");
    vm.properties = {{"vm.vnc.redirect", "1"}, {"vm.vnc.opts", "password"}};
    CHECK(refused(QVD_INVALID).find("vm.vnc.opts: \"password\" is none of") == 0);
    // What libvirt refuses itself: such a memory there is on no machine.
    vm.properties = {{"vm.kvm.cpus", "1024"}};
    CHECK(refused(QVD_UNSUPPORTED).find("cannot start the virtual machine: ") == 0);
}

TEST_CASE("a full disk pauses a guest, and unpausing it goes on where it was") {
    Stage stage;
    const std::string small = stage.world.path("small");
    std::filesystem::create_directories(small);
    REQUIRE(output_of("mount -t tmpfs -o size=640k none " + small + " 2>&1") == "");
    VmOrder vm(stage.world, 4);
    vm.home = small + "/4-data.qcow2";
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    CHECK(vm.asks("fill_home") == "filling\n");
    CHECK(eventually([&] { return stage.state(vm).state == QVD_VM_PAUSED; }));
    const Told full = stage.state(vm);
    CHECK(full.exit_code == ENOSPC);
    CHECK(full.sentence == "there is no room for what it writes to " + vm.home +
                               " (the disk is full): make room, then unpause it");
    CHECK(stage.survey().front().exit_code == ENOSPC);
    CHECK(stage.backend->core().log().find("VM 4 is paused") != std::string::npos);
    const Told told = stage.backend->core().report_of(4);
    CHECK(told.state == QVD_VM_PAUSED);
    CHECK(told.incarnation == vm.incarnation);
    REQUIRE(output_of("mount -o remount,size=60m " + small + " 2>&1") == "");
    stage.must(&qvd_hypervisor::unpause, vm);
    CHECK(vm.asks("filled") == "filled\n");
    stage.must(&qvd_hypervisor::remove_vm, vm);
    CHECK(output_of("umount " + small + " 2>&1") == "");
}

TEST_CASE("vm.kvm.accel = auto asks a guest once, and remembers what it proved") {
    Stage stage;
    stage.backend->drop();
    stage.world.configuration["vm.kvm.accel"] = "auto";
    stage.backend = std::make_unique<Backend>(stage.world);
    VmOrder vm(stage.world, 5);
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    const std::string file = stage.world.path("state/accel");
    const std::string proved = read_file(file);
    MESSAGE(proved);
    const bool accelerated = proved.find("accel=kvm\n") != std::string::npos;
    CHECK((accelerated || proved.find("accel=tcg\nboot=") != std::string::npos));
    CHECK(accelerated == (stage.backend->core().log().find("are emulated") == std::string::npos));

    // Another instance believes the file: also one that says what no guest could have proved.
    const std::string circumstances = proved.substr(0, proved.find("accel="));
    const auto start_with = [&](const std::string& verdict) {
        stage.backend->drop();
        write_file(file, circumstances + verdict);
        stage.backend = std::make_unique<Backend>(stage.world);
        stage.must_start(vm);
        stage.must(&qvd_hypervisor::destroy_vm, vm);
        return stage.backend->core().log();
    };
    const std::string boot = read_file("/proc/sys/kernel/random/boot_id");
    CHECK(start_with("accel=tcg\nboot=" + boot + "reason=somebody said so\n")
              .find("somebody said so") != std::string::npos);
    // ... but that a guest did not run, for no longer than until the next boot.
    CHECK(start_with("accel=tcg\nboot=of-yesterday\nreason=somebody said so\n")
              .find("somebody said so") == std::string::npos);
    CHECK(read_file(file) == proved);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("a QEMU that is not root reads what it is told, and makes its screen" *
          doctest::test_suite("needs libvirt-user")) {
    if (output_of("id -u libvirt-qemu 2>/dev/null").empty()) {
        qvd::test::skip("there is no user libvirt-qemu");
        return;
    }
    const QemuUser user("libvirt-qemu");
    Stage stage;
    VmOrder vm(stage.world, 6);
    vm.home = stage.world.path("homes/6-data.qcow2");
    stage.world.open_to_others();
    vm.properties = {{"vm.vnc.redirect", "1"},
                     {"vm.vnc.opts", "share=ignore"},
                     {"vm.kvm.kernel", stage.world.path("vmlinux")},
                     {"vm.kvm.initrd", stage.world.path("initrd.gz")}};
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "token") == "s3cret-token");
    CHECK(vm.asks("write_home-mine") == "written\n");
    CHECK(output_of("ps -o user:20= -p " + std::to_string(qemu_of(vm.domain()))) ==
          "libvirt-qemu\n");
    CallStandIn console;
    REQUIRE(stage.call(&qvd_hypervisor::console, vm, console) == QVD_OK);
    CHECK(console.endpoints.size() == 2);
    // Nobody else reads the token.
    CHECK(output_of("setpriv --reuid nobody --clear-groups cat " +
                    stage.world.path("run/vm/6/agent.token") + " 2>/dev/null") == "");
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    CHECK(stage.world.left_overs() == "");
    vm.incarnation = 2;
    stage.must_start(vm);  // over files that are QEMU's by now
    CHECK(vm.asks("read_home") == "mine            ");
    stage.must(&qvd_hypervisor::remove_vm, vm);
}

TEST_CASE("of a VM that is long deleted its number is enough, and one that runs is left alone") {
    Stage stage;
    VmOrder vm(stage.world, 8);
    stage.must_start(vm);
    qvd_vm known{};
    known.size = sizeof known;
    known.id = 8;
    known.disks = known.nics = known.devices = known.properties = QVD_NO_ARRAY;
    const auto remove = [&](CallStandIn& call) {
        return stage.backend->table().remove_vm(stage.backend->self(), &known, call.raw());
    };
    CallStandIn running;
    CHECK(remove(running) == QVD_CONFLICT);
    CHECK(running.sentence == "VM 8 still runs");
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    const std::vector<std::string> its{"overlays/7-8-overlay.qcow2", "suspended/8.memory",
                                       "suspended/8-checkpoint-5/memory",
                                       "snapshots/8/monday/os.qcow2"};
    const std::vector<std::string> others{"overlays/8-18-overlay.qcow2", "suspended/18.memory",
                                          "suspended/18-checkpoint-8/memory",
                                          "snapshots/18/8/os.qcow2", "homes/8-data.qcow2"};
    for (const auto* const all : {&its, &others})
        for (const std::string& name : *all) {
            const std::filesystem::path path = stage.world.path(name);
            std::filesystem::create_directories(path.parent_path());
            write_file(path, "x");
        }
    CallStandIn gone;
    REQUIRE_MESSAGE(remove(gone) == QVD_OK, gone.sentence);
    for (const std::string& name : its) CHECK_FALSE(exists(stage.world.path(name)));
    for (const std::string& name : others) CHECK(exists(stage.world.path(name)));
    CHECK_FALSE(exists(stage.world.path("snapshots/8")));
}
