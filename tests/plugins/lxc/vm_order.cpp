// What the core says of a VM and of an image when it orders something of a backend.
#include "world.hpp"

namespace qvd::test {

VmOrder::VmOrder(const World& world, std::uint64_t id, std::uint64_t incarnation)
    : unpacked_path(world.images("7-tiny")),
      bridge(bridge_name()),
      id_(id),
      incarnation_(incarnation),
      uuid_("00000000-0000-0000-0000-" + std::to_string(100000000000ULL + id)),
      name_("desk_" + std::to_string(id)),
      address_("10.91.7." + std::to_string(id + 1)),
      device_("qvd" + std::to_string(id)),
      overlay_(kind() == "btrfs" ? world.changes_of(id)
                                 : world.changes("7-" + std::to_string(id) + "-overlayfs")) {
    char mac[32];
    std::snprintf(mac, sizeof mac, "54:52:00:5b:07:%02x", static_cast<unsigned>(id + 1));
    mac_ = mac;
}

const qvd_vm* VmOrder::raw() {
    disks_.clear();
    qvd_disk os{};
    os.size = sizeof os;
    os.role = QVD_DISK_OS;
    os.format = QVD_FORMAT_TAR;
    os.flags = persistent ? QVD_DISK_PERSISTENT : 0;
    os.di_id = 7;
    os.path = qvd_text("");
    os.unpacked_path = qvd_text(unpacked_path.c_str());
    os.overlay_path = qvd_text(overlay_.c_str());
    os.target = qvd_text("");
    disks_.push_back(os);
    if (!home.empty()) {
        qvd_disk own = os;
        own.role = QVD_DISK_HOME;
        own.format = QVD_FORMAT_DIRECTORY;
        own.size_bytes = home_bytes;
        own.path = qvd_text(home.c_str());
        own.target = qvd_text("/home");
        disks_.push_back(own);
    }
    addresses_[0] = {sizeof(qvd_address), 24, qvd_text(address_.c_str()), qvd_text("10.91.7.1")};
    dns_[0] = qvd_text("10.91.7.53");
    nics_[0] = {sizeof(qvd_nic),          0,
                qvd_text(mac_.c_str()),   QVD_ARRAY(addresses_),
                QVD_ARRAY(dns_),          qvd_text("example.test"),
                qvd_text(bridge.c_str()), qvd_text(device_.c_str())};
    vm_ = {};
    vm_.size = sizeof vm_;
    vm_.id = id_;
    vm_.uuid = qvd_text(uuid_.c_str());
    vm_.incarnation = incarnation_;
    vm_.name = qvd_text(name_.c_str());
    vm_.user_name = vm_.osf_name = vm_.cpuset = vm_.runtime_path = qvd_text("");
    vm_.di_id = 7;
    vm_.memory_mib = memory_mib;
    vm_.agent_secret = {"s3cret-token", 12};
    vm_.disks = {disks_.data(), disks_.size(), sizeof(qvd_disk)};
    vm_.nics = QVD_ARRAY(nics_);
    properties_.clear();
    for (const auto& [key, value] : properties)
        properties_.push_back(
            {sizeof(qvd_property), 0, qvd_text(key.c_str()), qvd_text(value.c_str())});
    vm_.properties = {properties_.data(), properties_.size(), sizeof(qvd_property)};
    vm_.devices = {devices.data(), devices.size(), sizeof(qvd_device)};
    return &vm_;
}

qvd_status prepare(Backend& backend, const std::string& archive, const std::string& target,
                   CallStandIn& call) {
    qvd_image image{};
    image.size = sizeof image;
    image.format = QVD_FORMAT_TAR;
    image.di_id = 7;
    image.path = qvd_text(archive.c_str());
    image.unpacked_path = qvd_text(target.c_str());
    image.checksum = qvd_text("");
    return backend.table().prepare_image(backend.self(), &image, call.raw());
}

}  // namespace qvd::test
