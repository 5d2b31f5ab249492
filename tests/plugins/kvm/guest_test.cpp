#include "world.hpp"

#include <doctest/doctest.h>

#include <csignal>

using namespace qvd::test;

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
