// The core ends while a guest is saved or copied: libvirt finishes that, and the next core has to
// know what it finds.
#include "world.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

using namespace qvd::test;

namespace {

struct Interrupted : Stage {
    Interrupted() : vm(world, 21) {
        std::filesystem::create_directories(world.path("suspended"));
        vm.home = world.path("homes/21-data.qcow2");
        must_start(vm);
        CHECK(vm.asks("write_home-first") == "written\n");
    }
    // libvirt does it, and no core hears of it.
    void save_alone(const std::string& to) {
        backend->drop();
        REQUIRE(output_of("virsh -q save --running " + vm.domain() + " " + to + " 2>&1 >&2") == "");
    }
    void next_core() {
        backend = std::make_unique<Backend>(world);
        REQUIRE(backend->refused == "");
    }
    // As a checkpoint has it between the end of the guest and its return.
    std::string marked_folder() {
        std::string folder = world.path("suspended/21-checkpoint-5");
        std::filesystem::create_directories(folder);
        write_file(folder + "/goes-on", vm.home + "\n");
        return folder;
    }
    std::string save() {
        CallStandIn saved;
        CHECK_MESSAGE(call(&qvd_hypervisor::save, vm, saved) == QVD_OK, saved.sentence);
        return saved.saved_path;
    }
    void restore(const std::string& path) {
        CallStandIn back;
        REQUIRE_MESSAGE(backend->table().restore(backend->self(), vm.raw(), qvd_text(path.c_str()),
                                                 back.raw()) == QVD_OK,
                        back.sentence);
    }

    VmOrder vm;
};

}  // namespace

TEST_CASE("memory that libvirt wrote after the core had gone is the VM's, and brings it back") {
    Interrupted stage;
    const std::string memory = stage.world.path("suspended/21.memory");
    stage.save_alone(memory + ".new");
    stage.next_core();
    CHECK(stage.survey().empty());
    CHECK(stage.state(stage.vm).state == QVD_VM_SUSPENDED);
    CallStandIn start;
    CHECK(stage.call(&qvd_hypervisor::start, stage.vm, start) == QVD_CONFLICT);
    CHECK(stage.save() == memory);
    CHECK_FALSE(exists(memory + ".new"));
    stage.restore(memory);
    CHECK(stage.vm.asks("read_home") == "first           ");
    CHECK_FALSE(exists(memory));
    stage.must(&qvd_hypervisor::destroy_vm, stage.vm);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("half a memory is none, and goes with its VM") {
    Interrupted stage;
    stage.must(&qvd_hypervisor::destroy_vm, stage.vm);
    const std::string fresh = stage.world.path("suspended/21.memory.new");
    write_file(fresh, "LibvirtQemudPart and no more");
    CHECK(stage.state(stage.vm).state == QVD_VM_STOPPED);
    CHECK(exists(fresh));
    stage.must(&qvd_hypervisor::destroy_vm, stage.vm);
    CHECK_FALSE(exists(fresh));
}

TEST_CASE("a guest whose checkpoint was cut off before it came back is suspended") {
    Interrupted stage;
    const std::string folder = stage.marked_folder();
    stage.save_alone(folder + "/memory");
    stage.next_core();
    CHECK(stage.state(stage.vm).state == QVD_VM_SUSPENDED);
    CHECK_FALSE(exists(folder + "/goes-on"));
    const std::string memory = stage.save();
    CHECK(memory == stage.world.path("suspended/21.memory"));
    stage.restore(memory);
    CHECK(stage.vm.asks("read_home") == "first           ");
    stage.must(&qvd_hypervisor::destroy_vm, stage.vm);
}

TEST_CASE("memory that a guest has gone on from is not gone back to") {
    Interrupted stage;
    const std::string folder = stage.marked_folder();
    stage.save_alone(folder + "/memory");
    // libvirt had brought it back, and it wrote and ended before there was a core again.
    std::filesystem::last_write_time(
        stage.vm.home, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(1));
    stage.next_core();
    CHECK(stage.state(stage.vm).state == QVD_VM_STOPPED);
    CHECK_FALSE(exists(stage.world.path("suspended/21.memory")));
    stage.must(&qvd_hypervisor::destroy_vm, stage.vm);
}

TEST_CASE("a checkpoint leaves no mark, and its guest is not suspended when it ends") {
    Interrupted stage;
    CallStandIn taken;
    REQUIRE_MESSAGE(stage.call(&qvd_hypervisor::checkpoint, stage.vm, taken) == QVD_OK,
                    taken.sentence);
    CHECK(exists(taken.saved_path + "/memory"));
    CHECK_FALSE(exists(taken.saved_path + "/goes-on"));
    CHECK(stage.vm.asks("halt") == "halting\n");
    CHECK(stage.backend->core().report_of(21).state == QVD_VM_STOPPED);
    stage.must(&qvd_hypervisor::destroy_vm, stage.vm);
}

TEST_CASE("a save that libvirt still works at is waited for, and one that it ends is told of") {
    Interrupted stage;
    const std::string memory = stage.world.path("suspended/21.memory");
    const int qemu = qemu_of(stage.vm.domain());
    const auto save_slowly = [&] {
        stage.backend->drop();
        // A QEMU that stands still is one that takes long.
        ::kill(qemu_of(stage.vm.domain()), SIGSTOP);
        std::thread saving([domain = stage.vm.domain(), memory] {
            (void)output_of("virsh -q save --running " + domain + " " + memory + ".new 2>&1");
        });
        CHECK(eventually([&] {
            // It is not answered while QEMU does not answer.
            return output_of("timeout 1 virsh -q domjobinfo " + stage.vm.domain() + " 2>&1")
                       .find("None") == std::string::npos;
        }));
        stage.next_core();
        return saving;
    };
    std::thread saving = save_slowly();
    std::thread waking([qemu] {
        std::this_thread::sleep_for(std::chrono::seconds(2));
        ::kill(qemu, SIGCONT);
    });
    CHECK(stage.save() == memory);
    saving.join();
    waking.join();
    CHECK_FALSE(exists(memory + ".new"));
    stage.restore(memory);

    saving = save_slowly();
    CHECK(stage.survey().size() == 1);
    ::kill(qemu_of(stage.vm.domain()), SIGCONT);
    saving.join();
    const Told told = stage.backend->core().report_of(21);
    CHECK(told.state == QVD_VM_SUSPENDED);
    CHECK(stage.state(stage.vm).state == QVD_VM_SUSPENDED);
    CHECK(stage.save() == memory);
    stage.restore(memory);
    CHECK(stage.vm.asks("read_home") == "first           ");
    stage.must(&qvd_hypervisor::destroy_vm, stage.vm);
}
