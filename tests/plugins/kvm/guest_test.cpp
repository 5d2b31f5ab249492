#include "tests/plugins/executions.hpp"
#include "world.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <ctime>

using namespace qvd::test;

namespace {

double own_cpu_seconds() {
    timespec spent{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

}  // namespace

TEST_CASE("a guest starts, is told its name, network and token, and stops without a trace") {
    Stage stage;
    VmOrder vm(stage.world, 1);
    vm.home = stage.world.path("homes/1-data.qcow2");
    const auto before = std::chrono::steady_clock::now();
    stage.must_start(vm);
    const auto begun = std::chrono::steady_clock::now();
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    const auto served = std::chrono::steady_clock::now();
    const auto ms = [](auto span) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(span).count();
    };
    MESSAGE("start: " << ms(begun - before) << " ms, to the first answer " << ms(served - begun));
    CHECK(fetch(vm.address(), "token") == "s3cret-token");
    CHECK(fetch(vm.address(), "hostname") == "desk-1\n");
    CHECK(fetch(vm.address(), "network") ==
          "mac=54:52:00:5b:08:02\naddress=10.91.8.2/24\ngateway=10.91.8.1\ndns=10.91.8.53\n"
          "domain=example.test\n");
    CHECK(stage.state(vm).state == QVD_VM_RUNNING);
    CHECK(stage.state(vm).incarnation == 1);

    stage.must(&qvd_hypervisor::stop, vm);
    const Told told = stage.backend->core().report_of(1, std::chrono::seconds(30));
    CHECK(told.state == QVD_VM_STOPPED);
    CHECK(told.incarnation == 1);
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    CHECK(stage.world.left_overs() == "");
    CHECK(stage.state(vm).state == QVD_VM_STOPPED);
    stage.must(&qvd_hypervisor::destroy_vm, vm);  // once more does no harm
    stage.must(&qvd_hypervisor::stop, vm);
    CHECK(exists(vm.home));
}

TEST_CASE("a guest finds an image afresh at each start, and its home as it left it") {
    Stage stage;
    VmOrder vm(stage.world, 2);
    vm.home = stage.world.path("homes/2-data.qcow2");
    stage.must_start(vm);
    CHECK(vm.asks("write-changed") == "written\n");
    CHECK(vm.asks("write_home-mine") == "written\n");
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    CHECK(stage.world.left_overs() == "");
    CHECK(output_of("qemu-img check -q " + vm.home + " 2>&1") == "");

    vm.incarnation = 2;
    // QEMU is libvirtd's child.
    const auto executions = Executions::begin();
    const double before = own_cpu_seconds();
    stage.must_start(vm);
    const double used = own_cpu_seconds() - before;
    CHECK((executions == nullptr || executions->take().empty()));
    MESSAGE("a start takes " << used * 1000 << " ms of this process's CPU time");
#ifndef QVD_SANITIZED
    CHECK(used < 0.020);
#endif
    CHECK(vm.asks("read").find("changed") == std::string::npos);
    CHECK(vm.asks("read_home") == "mine            ");
    CallStandIn usage;
    REQUIRE(stage.call(&qvd_hypervisor::usage, vm, usage) == QVD_OK);
    CHECK(usage.usage.cpu_seconds > 0);
    CHECK(usage.usage.memory_bytes > 32U << 20U);
    CHECK(usage.usage.disk_bytes > 0);
    CallStandIn capacity;
    REQUIRE(stage.backend->table().capacity(stage.backend->self(), capacity.raw()) == QVD_OK);
    CHECK(capacity.capacity.cpus > 0);
    CHECK(capacity.capacity.free_memory_mib > 0);
    CHECK(capacity.capacity.free_memory_mib < capacity.capacity.total_memory_mib);
    CHECK(capacity.capacity.idle_cpu <= 1);
    CallStandIn console;
    REQUIRE(stage.call(&qvd_hypervisor::console, vm, console) == QVD_OK);
    REQUIRE(console.endpoints.size() == 1);
    CHECK(exists(console.endpoints.front()));
    stage.must(&qvd_hypervisor::remove_vm, vm);
    CHECK_FALSE(exists(vm.home));
}

TEST_CASE("a guest that is killed or panics is told as crashed, and what it changed is kept") {
    Stage stage;
    VmOrder vm(stage.world, 3);
    vm.persistent = true;
    stage.must_start(vm);
    CHECK(vm.asks("write-kept") == "written\n");
    REQUIRE(::kill(qemu_of(vm.domain()), SIGKILL) == 0);
    Told told = stage.backend->core().report_of(3);
    CHECK(told.state == QVD_VM_CRASHED);
    CHECK(told.sentence.find("QEMU ended by itself") != std::string::npos);
    CHECK(stage.state(vm).state == QVD_VM_CRASHED);
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    CHECK(stage.state(vm).state == QVD_VM_STOPPED);

    vm.incarnation = 2;
    stage.must_start(vm);
    CHECK(vm.asks("read") == "kept            ");
    CHECK(vm.asks("panic") == "panicking\n");
    told = stage.backend->core().report_of(3);
    CHECK(told.state == QVD_VM_CRASHED);
    CHECK(told.incarnation == 2);
    CHECK(told.sentence == "its kernel panicked");
    stage.must(&qvd_hypervisor::destroy_vm, vm);
    const std::string log = stage.world.path("run/vm/3/console.log");
    CHECK(read_file(log).find("sysrq triggered crash") != std::string::npos);
    stage.must(&qvd_hypervisor::remove_vm, vm);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("a guest is adopted, paused, suspended to disk and brought back, and shuts itself down") {
    Stage stage;
    VmOrder vm(stage.world, 4);
    stage.must_start(vm);
    CHECK(vm.asks("remember-this") == "remembered\n");
    stage.backend->drop();
    stage.backend = std::make_unique<Backend>(stage.world);
    REQUIRE(stage.survey().size() == 1);
    CHECK(stage.survey().front().vm_id == 4);
    CHECK(stage.survey().front().state == QVD_VM_RUNNING);
    stage.must_start(vm);  // it runs: fine
    VmOrder newer(stage.world, 4, 2);
    CallStandIn refused;
    CHECK(stage.call(&qvd_hypervisor::start, newer, refused) == QVD_CONFLICT);

    stage.must(&qvd_hypervisor::pause, vm);
    stage.must(&qvd_hypervisor::pause, vm);
    CHECK(stage.state(vm).state == QVD_VM_PAUSED);
    CHECK(fetch(vm.address(), "index.html", std::chrono::milliseconds(100)) == "");
    stage.must(&qvd_hypervisor::unpause, vm);
    CHECK(vm.asks("recall") == "this\n");

    CallStandIn saved;
    REQUIRE_MESSAGE(stage.call(&qvd_hypervisor::save, vm, saved) == QVD_OK, saved.sentence);
    CHECK(qemu_of(vm.domain()) == 0);
    CHECK(stage.state(vm).state == QVD_VM_SUSPENDED);
    CHECK(stage.call(&qvd_hypervisor::start, newer, refused) == QVD_CONFLICT);
    CHECK(refused.sentence.find("suspended") != std::string::npos);
    CallStandIn restoring;
    REQUIRE_MESSAGE(stage.backend->table().restore(stage.backend->self(), newer.raw(),
                                                   qvd_text(saved.saved_path.c_str()),
                                                   restoring.raw()) == QVD_OK,
                    restoring.sentence);
    CHECK(vm.asks("recall") == "this\n");
    CHECK(stage.state(newer).incarnation == 2);
    CHECK(vm.asks("halt") == "halting\n");
    const Told told = stage.backend->core().report_of(4);
    CHECK(told.state == QVD_VM_STOPPED);
    CHECK(told.incarnation == 2);
    stage.must(&qvd_hypervisor::destroy_vm, newer);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("a checkpoint brings back memory and disks of its moment, a snapshot the disks") {
    Stage stage;
    VmOrder vm(stage.world, 5);
    vm.home = stage.world.path("homes/5-data.qcow2");
    stage.must_start(vm);
    CHECK(vm.asks("remember-before") == "remembered\n");
    CHECK(vm.asks("write_home-before") == "written\n");
    CallStandIn taken;
    REQUIRE_MESSAGE(stage.call(&qvd_hypervisor::checkpoint, vm, taken) == QVD_OK, taken.sentence);
    CHECK(vm.asks("remember-after") == "remembered\n");
    CHECK(vm.asks("write_home-after") == "written\n");

    const auto snapshot = [&](const char* name, CallStandIn& call) {
        return stage.backend->table().snapshot(stage.backend->self(), vm.raw(), qvd_text(name),
                                               call.raw());
    };
    CallStandIn copied;
    REQUIRE_MESSAGE(snapshot("monday", copied) == QVD_OK, copied.sentence);
    const std::string raw = stage.world.path("home.raw");
    CHECK(output_of("qemu-img convert -O raw " + copied.saved_path + "/home.qcow2 " + raw) == "");
    CHECK(read_file(raw).substr(0, 16) == "after           ");
    CHECK(exists(copied.saved_path + "/os.qcow2"));
    CHECK(snapshot("monday", copied) == QVD_CONFLICT);
    CHECK(snapshot("../up", copied) == QVD_INVALID);

    stage.must(&qvd_hypervisor::destroy_vm, vm);
    vm.incarnation = 2;
    CallStandIn back;
    REQUIRE_MESSAGE(
        stage.backend->table().restore(stage.backend->self(), vm.raw(),
                                       qvd_text(taken.saved_path.c_str()), back.raw()) == QVD_OK,
        back.sentence);
    CHECK(vm.asks("recall") == "before\n");
    CHECK(vm.asks("read_home") == "before          ");
    CHECK(snapshot("tuesday", copied) == QVD_OK);
    stage.must(&qvd_hypervisor::reset, vm);
    CHECK(vm.asks("forgotten") == "forgotten\n");  // it began anew
    stage.must(&qvd_hypervisor::remove_vm, vm);
    CHECK(qemu_of(vm.domain()) == 0);
}
