#include "plugin/lent_vm.hpp"

#include "plugin/record.hpp"

namespace qvd::plugin {

namespace {

template <class T>
qvd_array array_of(const std::vector<T>& elements) {
    return {elements.data(), elements.size(), sizeof(T)};
}

template <class Id>
std::uint64_t raw_id(Id id) {
    return static_cast<std::uint64_t>(id.value());
}

}  // namespace

LentVm::LentVm(VmSpec spec) : spec_(std::move(spec)), properties_(spec_.properties) {
    add_disks();
    add_nics();
    raw_.size = sizeof raw_;
    raw_.cpus = spec_.cpus;
    raw_.id = raw_id(spec_.vm);
    raw_.uuid = plugin::raw(spec_.uuid);
    raw_.incarnation = static_cast<std::uint64_t>(spec_.incarnation);
    raw_.name = plugin::raw(spec_.name);
    raw_.user_id = raw_id(spec_.user);
    raw_.user_name = plugin::raw(spec_.user_name);
    raw_.osf_id = raw_id(spec_.osf);
    raw_.osf_name = plugin::raw(spec_.osf_name);
    raw_.di_id = raw_id(spec_.di);
    raw_.memory_mib = spec_.memory_mib;
    raw_.swap_mib = spec_.swap_mib;
    raw_.cpu_shares = spec_.cpu_shares;
    raw_.agent_port = spec_.agent_port;
    raw_.cpuset = plugin::raw(spec_.cpuset);
    raw_.disks = array_of(disks_);
    raw_.nics = array_of(nics_);
    raw_.devices = QVD_NO_ARRAY;
    raw_.agent_secret = {spec_.agent_token.reveal().data(), spec_.agent_token.reveal().size()};
    raw_.runtime_path = plugin::raw(spec_.runtime_path);
    raw_.properties = properties_.array();
}

void LentVm::add_disks() {
    for (const DiskSpec& disk : spec_.disks) {
        qvd_disk raw{};
        raw.size = sizeof raw;
        raw.role = static_cast<qvd_disk_role>(disk.role);
        raw.format = static_cast<qvd_image_format>(disk.format);
        if (disk.read_only) raw.flags |= QVD_DISK_READ_ONLY;
        if (disk.persistent) raw.flags |= QVD_DISK_PERSISTENT;
        raw.di_id = raw_id(disk.di);
        raw.path = plugin::raw(disk.path);
        raw.unpacked_path = plugin::raw(disk.unpacked_path);
        raw.overlay_path = plugin::raw(disk.overlay_path);
        raw.target = plugin::raw(disk.target);
        raw.size_bytes = disk.size_bytes;
        disks_.push_back(raw);
    }
}

void LentVm::add_nics() {
    for (const NicSpec& nic : spec_.nics) {
        auto& addresses = addresses_.emplace_back();
        for (const NicAddress& address : nic.addresses)
            addresses.push_back({sizeof(qvd_address), address.prefix, plugin::raw(address.address),
                                 plugin::raw(address.gateway)});
        auto& dns = dns_.emplace_back();
        for (const std::string& server : nic.dns) dns.push_back(plugin::raw(server));
        qvd_nic raw{};
        raw.size = sizeof raw;
        raw.mtu = nic.mtu;
        raw.mac = plugin::raw(nic.mac);
        raw.addresses = array_of(addresses);
        raw.dns = array_of(dns);
        raw.domain = plugin::raw(nic.domain);
        raw.bridge = plugin::raw(nic.bridge);
        raw.host_device = plugin::raw(nic.host_device);
        nics_.push_back(raw);
    }
}

LentImage::LentImage(ImageSpec spec) : spec_(std::move(spec)) {
    raw_.size = sizeof raw_;
    raw_.format = static_cast<qvd_image_format>(spec_.format);
    raw_.di_id = raw_id(spec_.di);
    raw_.osf_id = raw_id(spec_.osf);
    raw_.path = plugin::raw(spec_.path);
    raw_.unpacked_path = plugin::raw(spec_.unpacked_path);
    raw_.checksum = plugin::raw(spec_.checksum);
    raw_.properties = QVD_NO_ARRAY;
}

VmStatus vm_status(const qvd_vm_status& raw) {
    VmStatus status;
    status.vm = VmId{static_cast<std::int64_t>(raw.vm_id)};
    status.uuid = text_of(raw.uuid);
    status.incarnation = static_cast<std::int64_t>(raw.incarnation);
    status.state =
        raw.state > QVD_VM_CRASHED ? BackendState::unknown : static_cast<BackendState>(raw.state);
    status.pid = raw.pid;
    status.exit_code = raw.exit_code;
    status.since_ms = raw.since_ms;
    status.sentence = text_of(raw.sentence);
    return status;
}

}  // namespace qvd::plugin
