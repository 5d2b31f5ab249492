#include "plugin/hypervisor.hpp"

#include "tests/plugin/room.hpp"

namespace qvd::plugin {

using qvd::testing::lend;
using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::text;

namespace {

constexpr Milliseconds limit{10'000};

VmSpec spec() {
    VmSpec vm;
    vm.vm = VmId{42};
    vm.uuid = "9d4d5d0e-0000-4000-8000-000000000042";
    vm.incarnation = 3;
    vm.name = "bobs";
    vm.disks = {{DiskRole::os, ImageFormat::tar, true, false, DiId{8}, "/images/8.tar", "/base/8",
                 "/overlay/42", "", 0},
                {DiskRole::home,
                 ImageFormat::directory,
                 false,
                 true,
                 {},
                 "/homes/7",
                 "",
                 "",
                 "/home",
                 1 << 30}};
    vm.nics = {{"54:52:00:01:02:03",
                {{"10.3.15.7", 24, "10.3.15.1"}},
                {"10.3.15.1"},
                "qvd",
                "qvdnet0",
                "qvd42",
                1450}};
    vm.agent_token = Secret{"token"};
    vm.properties = {{"a", "1"}};
    return vm;
}

qvd_status hand_back(qvd_call* call, const qvd_vm* vm, qvd_vm_state state) {
    qvd_vm_status status{};
    status.size = sizeof status;
    status.state = state;
    status.vm_id = vm->id;
    status.uuid = vm->uuid;
    status.incarnation = vm->incarnation;
    status.pid = 1234;
    call->result(call, QVD_KIND_VM_STATUS, &status);
    return QVD_OK;
}

struct Bench {
    explicit Bench(const std::string& file = "puppet")
        : hypervisor(room.make(QVD_HYPERVISOR, puppet, "lxc", file)) {}

    Puppet puppet;
    Room room;
    Hypervisor hypervisor;
};

}  // namespace

TEST_CASE("a backend gets the VM as it was planned, and its answer comes back") {
    Bench bench;
    bench.puppet.vm = [](const std::string& function, const qvd_vm* vm, qvd_call* call) {
        CHECK(function == "start");
        CHECK(text(vm->uuid) == "9d4d5d0e-0000-4000-8000-000000000042");
        CHECK(text(call->trace_id) == "vm-42.3");
        REQUIRE(vm->disks.count == 2);
        const auto& home = *static_cast<const qvd_disk*>(qvd_array_at(&vm->disks, 1));
        CHECK(text(home.target) == "/home");
        CHECK(home.flags == QVD_DISK_PERSISTENT);
        const auto& nic = *static_cast<const qvd_nic*>(qvd_array_at(&vm->nics, 0));
        CHECK(text(nic.bridge) == "qvdnet0");
        const auto& address = *static_cast<const qvd_address*>(qvd_array_at(&nic.addresses, 0));
        CHECK(text(address.gateway) == "10.3.15.1");
        CHECK(std::string(vm->agent_secret.data, vm->agent_secret.length) == "token");
        return hand_back(call, vm, QVD_VM_STARTING);
    };
    const auto started = bench.room.run(bench.hypervisor.start(spec(), limit, "vm-42.3"));
    REQUIRE(started.ok());
    CHECK(started->state == BackendState::starting);
    CHECK(started->pid == 1234);
    CHECK(started->incarnation == 3);
}

TEST_CASE("success without an answer is the backend's bug; a failure keeps its sentence") {
    Bench bench;
    bench.puppet.vm = [](const std::string& function, const qvd_vm* vm, qvd_call* call) {
        if (function == "stop") return qvd_call_fail(call, QVD_UNAVAILABLE, "no keeper answers");
        if (function == "state") return hand_back(call, vm, 77);
        return qvd_status{QVD_OK};
    };
    CHECK(bench.room.run(bench.hypervisor.start(spec(), limit, "")).error().code() ==
          "backend.answer");
    const auto stopped = bench.room.run(bench.hypervisor.stop(spec(), limit));
    CHECK(stopped.error().kind() == ErrorKind::unavailable);
    CHECK(stopped.error().sentence() == "no keeper answers");
    CHECK(bench.room.run(bench.hypervisor.destroy_vm(spec(), limit)).ok());
    CHECK(bench.room.run(bench.hypervisor.state(spec(), limit))->state == BackendState::unknown);
}

TEST_CASE("a survey collects every VM, and takes records of an older, shorter kind") {
    Bench bench;
    bench.puppet.survey = [](qvd_call* call) -> qvd_status {
        qvd_vm_status status{};
        status.state = QVD_VM_RUNNING;
        status.pid = 99;
        for (std::uint64_t id = 1; id <= 3; ++id) {
            status.size = id == 2 ? offsetof(qvd_vm_status, pid) : sizeof status;
            status.vm_id = id;
            call->result(call, QVD_KIND_VM_STATUS, &status);
        }
        return QVD_OK;
    };
    const auto found = bench.room.run(bench.hypervisor.survey(limit));
    REQUIRE(found.ok());
    REQUIRE(found->size() == 3);
    CHECK((*found)[0].pid == 99);
    CHECK((*found)[1].vm == VmId{2});
    CHECK((*found)[1].pid == 0);
}

TEST_CASE("an image is prepared with progress; a backend without that has nothing to prepare") {
    Bench bench;
    bench.puppet.prepare_image = [](const qvd_image* image, qvd_call* call) -> qvd_status {
        call->progress(call, 50, lend("unpacking"));
        qvd_image_status status{};
        status.size = sizeof status;
        status.di_id = image->di_id;
        status.unpacked_path = lend("/base/8");
        call->result(call, QVD_KIND_IMAGE_STATUS, &status);
        return QVD_OK;
    };
    ImageSpec image;
    image.di = DiId{8};
    image.path = "/images/8.tar";
    const auto prepared = bench.room.run(bench.hypervisor.prepare_image(
        image, [](int, const std::string&) {}, limit));
    REQUIRE(prepared.ok());
    CHECK(prepared->unpacked_path == "/base/8");

    Bench plain("puppet-plain");
    const auto as_it_is = plain.room.run(plain.hypervisor.prepare_image(image, {}, limit));
    REQUIRE(as_it_is.ok());
    CHECK(as_it_is->unpacked_path == "/images/8.tar");
    CHECK(plain.room.run(plain.hypervisor.remove_image(image, limit)).ok());
}

TEST_CASE("functions that a backend lacks are unsupported, also those beyond its table's size") {
    Bench plain("puppet-plain");
    CHECK(plain.hypervisor.capabilities() == 0);
    CHECK(plain.room.run(plain.hypervisor.usage(spec(), limit)).error().code() ==
          "backend.unsupported");
    CHECK(plain.room.run(plain.hypervisor.capacity(limit)).error().code() == "backend.unsupported");
    CHECK(plain.room.run(plain.hypervisor.console(spec(), limit)).error().code() ==
          "backend.unsupported");
    CHECK(plain.room.run(plain.hypervisor.collect({"uuid"}, limit)).ok());
}

TEST_CASE("collect() is given the VMs to keep") {
    Bench bench;
    std::string kept;
    bench.puppet.collect = [&](const qvd_array* keep, qvd_call*) -> qvd_status {
        for (std::size_t i = 0; i < keep->count; ++i)
            kept += text(*static_cast<const qvd_str*>(qvd_array_at(keep, i))) + " ";
        return QVD_OK;
    };
    CHECK(bench.room.run(bench.hypervisor.collect({"one", "two"}, limit)).ok());
    CHECK(kept == "one two ");
}

TEST_CASE("what ends by itself is reported on the event loop, if the report is whole") {
    const log::Capture log;
    Puppet puppet;
    Room room;
    std::vector<VmStatus> heard;
    room.host.on_vm_event = [&](VmStatus status) { heard.push_back(std::move(status)); };
    const auto instance = room.make(QVD_HYPERVISOR, puppet);
    const auto* events = static_cast<const qvd_vm_events_service*>(
        puppet.core->service(puppet.core, QVD_CORE_VM_EVENTS));
    REQUIRE(events != nullptr);
    qvd_vm_status status{};
    status.size = sizeof status;
    status.state = QVD_VM_CRASHED;
    status.sentence = lend("out of memory");
    events->report(puppet.core, &status);
    CHECK(log.contains("reported a VM without its uuid and incarnation"));
    status.uuid = lend("9d4d");
    status.incarnation = 3;
    std::thread([&] { events->report(puppet.core, &status); }).join();
    room.turn_until([&] { return !heard.empty(); });
    CHECK(heard.size() == 1);
    CHECK(heard[0].state == BackendState::crashed);
    CHECK(heard[0].sentence == "out of memory");
}

}  // namespace qvd::plugin
