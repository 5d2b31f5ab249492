#include "world.hpp"

#include <doctest/doctest.h>
#include <net/if.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace qvd::test {

namespace fs = std::filesystem;

World::World() {
    char name[] = "/mnt/qvdkvmXXXXXX";
    root_ = ::mkdtemp(name);
    configuration = {{"vm.kvm.uri", "qemu:///system"},
                     {"vm.kvm.accel", "tcg"},
                     {"vm.kvm.machine", "pc"},
                     {"vm.kvm.virtio", "1"},
                     {"vm.kvm.home.drive.index", "1"},
                     {"vm.kvm.kernel", guest_kernel()},
                     {"vm.kvm.initrd", guest_initrd()},
                     {"vm.kvm.cmdline", "console=ttyS0 quiet panic=-1"},
                     {"vm.vnc.redirect", "0"},
                     {"vm.vnc.opts", ""},
                     {"vm.serial.redirect", "1"},
                     {"vm.serial.capture", "0"},
                     {"path.serial.captures", path("captures")},
                     {"path.storage.overlays", path("overlays")},
                     {"path.storage.homes", path("homes")},
                     {"path.storage.suspended", path("suspended")},
                     {"path.storage.snapshots", path("snapshots")},
                     {"path.kvm.state", path("state")},
                     {"path.run", path("run")},
                     {"internal.vm.kvm.name.prefix", "t-"}};
}

World::~World() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

std::string World::make_image(const std::string& name) const {
    fs::create_directories(path("images"));
    std::string image = path("images/" + name);
    if (std::system(("qemu-img create -q -f qcow2 " + image + " 16M").c_str()) != 0)
        throw std::runtime_error("qemu-img makes no image");
    return image;
}

void World::open_to_others() const {
    fs::permissions(root_, fs::perms(0755));
    fs::copy_file(guest_kernel(), path("vmlinux"));
    fs::copy_file(guest_initrd(), path("initrd.gz"));
}

std::string World::left_overs() const {
    std::string found;
    for (int vm = 1; vm < 100; ++vm)
        if (::if_nametoindex(("qvd" + std::to_string(vm)).c_str()) != 0)
            found += "device qvd" + std::to_string(vm) + "\n";
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/run/libvirt/qemu", ignored))
        if (entry.path().filename().string().rfind("t-", 0) == 0)
            found += entry.path().string() + "\n";
    for (const char* folder : {"run/vm", "overlays", "homes", "suspended", "state"})
        for (const auto& entry : fs::recursive_directory_iterator(path(folder), ignored)) {
            const std::string name = entry.path().filename().string();
            for (const char* part : {".sock", "token", "network", "hostname", ".new",
                                     "overlay.qcow2", ".memory", "probe"})
                if (name.find(part) != std::string::npos) found += entry.path().string() + "\n";
        }
    return found;
}

// ---- Backend ------------------------------------------------------------------------------------

Backend::Backend(const World& world)
    : core_(world.configuration), table_(hypervisor_in(QVD_TEST_PLUGIN)) {
    CallStandIn call;
    if (table_->create(core_.raw(), call.raw(), &self_) == QVD_OK) return;
    refused = call.sentence;
    self_ = nullptr;
}

void Backend::drop() {
    if (self_ != nullptr) table_->destroy(self_);
    self_ = nullptr;
}

// ---- VmOrder ------------------------------------------------------------------------------------

VmOrder::VmOrder(const World& world, std::uint64_t id, std::uint64_t which)
    : incarnation(which),
      image(world.path("images/7-disk.qcow2")),
      bridge(bridge_name()),
      id_(id),
      uuid_("00000000-0000-4000-8000-" + std::to_string(100000000000ULL + id)),
      name_("desk_" + std::to_string(id)),
      address_("10.91.8." + std::to_string(id + 1)),
      device_("qvd" + std::to_string(id)),
      domain_("t-" + std::to_string(id)),
      overlay_(world.path("overlays/7-" + std::to_string(id) + "-overlay.qcow2")),
      runtime_(world.path("run/vm/" + std::to_string(id))) {
    char mac[32];
    std::snprintf(mac, sizeof mac, "54:52:00:5b:08:%02x", static_cast<unsigned>(id + 1));
    mac_ = mac;
}

std::string VmOrder::asks(const std::string& word) const {
    std::string answer = fetch(address_, "cgi-bin/run?" + word);
    if (answer.empty())
        MESSAGE("no answer to " << word << " from QEMU " << qemu_of(domain_)
                                << "; its console: " << read_file(runtime_ + "/console.log"));
    return answer;
}

const qvd_vm* VmOrder::raw() {
    disks_.clear();
    qvd_disk os{};
    os.size = sizeof os;
    os.role = QVD_DISK_OS;
    os.format = format;
    os.flags = (persistent ? QVD_DISK_PERSISTENT : 0) | (read_only ? QVD_DISK_READ_ONLY : 0);
    os.di_id = 7;
    os.path = qvd_text(image.c_str());
    os.unpacked_path = os.target = qvd_text("");
    os.overlay_path = qvd_text(overlay_.c_str());
    disks_.push_back(os);
    if (!home.empty()) {
        qvd_disk own = os;
        own.role = QVD_DISK_HOME;
        own.format = QVD_FORMAT_QCOW2;
        own.flags = QVD_DISK_PERSISTENT;
        own.path = qvd_text(home.c_str());
        own.size_bytes = 32ULL << 20U;
        disks_.push_back(own);
    }
    raw_properties_.clear();
    for (const auto& [key, value] : properties)
        raw_properties_.push_back(
            {sizeof(qvd_property), 0, qvd_text(key.c_str()), qvd_text(value.c_str())});
    addresses_[0] = {sizeof(qvd_address), 24, qvd_text(address_.c_str()), qvd_text("10.91.8.1")};
    dns_[0] = qvd_text("10.91.8.53");
    nics_[0] = {sizeof(qvd_nic),          0,
                qvd_text(mac_.c_str()),   QVD_ARRAY(addresses_),
                QVD_ARRAY(dns_),          qvd_text("example.test"),
                qvd_text(bridge.c_str()), qvd_text(device_.c_str())};
    vm_ = {};
    vm_.size = sizeof vm_;
    vm_.id = id_;
    vm_.cpus = 1;
    vm_.uuid = qvd_text(uuid_.c_str());
    vm_.incarnation = incarnation;
    vm_.name = qvd_text(name_.c_str());
    vm_.user_name = vm_.osf_name = vm_.cpuset = qvd_text("");
    vm_.runtime_path = qvd_text(runtime_.c_str());
    vm_.di_id = 7;
    vm_.memory_mib = 128;
    vm_.agent_secret = {"s3cret-token", 12};
    vm_.disks = {disks_.data(), disks_.size(), sizeof(qvd_disk)};
    vm_.nics = QVD_ARRAY(nics_);
    vm_.devices = QVD_NO_ARRAY;
    vm_.properties = {raw_properties_.data(), raw_properties_.size(), sizeof(qvd_property)};
    return &vm_;
}

// ---- Stage --------------------------------------------------------------------------------------

// Beyond what libvirt takes to ask QEMU anew what it can do, for which a busy machine needs a
// minute.
constexpr std::chrono::seconds patience{100};

void Stage::must(Function function, VmOrder& vm) {
    CallStandIn one{patience};
    const bool done = call(function, vm, one) == QVD_OK;
    REQUIRE_MESSAGE(done, one.sentence << "; libvirtd's log: "
                                       << (done ? "" : read_file("/var/log/libvirt/libvirtd.log")));
}

Told Stage::state(VmOrder& vm) {
    CallStandIn one{patience};
    REQUIRE_MESSAGE(call(&qvd_hypervisor::state, vm, one) == QVD_OK, one.sentence);
    REQUIRE(one.vms.size() == 1);
    return one.vms.front();
}

std::vector<Told> Stage::survey() {
    CallStandIn one{patience};
    REQUIRE_MESSAGE(backend->table().survey(backend->self(), one.raw()) == QVD_OK, one.sentence);
    return one.vms;
}

}  // namespace qvd::test
