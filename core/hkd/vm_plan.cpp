#include "hkd/vm_plan.hpp"

#include "base/text.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "hkd/network/addresses.hpp"
#include "plugin/keys.hpp"

#include <array>

namespace qvd::hkd {

namespace {

constexpr std::array tar_endings{".tar", ".tar.gz",  ".tgz",     ".tar.xz",
                                 ".txz", ".tar.zst", ".tar.bz2", ".tbz2"};

// Of the hypervisor's kind, VMs are containers that share the node's files, or machines with disks.
bool is_container(const std::string& hypervisor) {
    return hypervisor.starts_with("lxc");
}

std::string without_tar_ending(const std::string& file_name) {
    std::size_t longest = 0;
    for (const std::string_view ending : tar_endings)
        if (file_name.ends_with(ending)) longest = std::max(longest, ending.size());
    return file_name.substr(0, file_name.size() - longest);
}

bool persistent_overlay(const Properties& properties, const config::View& view) {
    const auto own = properties.find(vm_overlay_persistent.name);
    if (own != properties.end())
        if (const auto said = config::to_boolean(own->second)) return *said;
    return view.get(vm_overlay_persistent);
}

// Where containers have their images, and what they changed.
struct Places {
    std::string images;
    std::string changes;
    std::string_view changes_ending;
};

Places places_of(const std::string& hypervisor, const config::View& view) {
    if (hypervisor != "lxc-btrfs")
        return {view.get(config::path_storage_basefs), view.get(config::path_storage_overlayfs),
                "-overlayfs"};
    const std::string top = view.get(config::path_storage_btrfs_root) + "/btrfs";
    return {top + "/images", top + "/vms", "-btrfs"};
}

std::string unpacked_path(const std::string& hypervisor, const Di& di, const config::View& view) {
    return places_of(hypervisor, view).images + "/" + without_tar_ending(di.path);
}

plugin::DiskSpec os_disk(const VmPlan& plan, const Di& di, bool overlay, const config::View& view) {
    plugin::DiskSpec disk;
    disk.role = plugin::DiskRole::os;
    disk.di = di.id;
    disk.format = format_of(di.path);
    disk.path = view.get(config::path_storage_images) + "/" + di.path;
    disk.read_only = !overlay;
    disk.persistent = overlay && persistent_overlay(plan.properties, view);
    const std::string ids = di.id.text() + "-" + plan.vm.text();
    if (is_container(plan.hypervisor)) {
        const Places places = places_of(plan.hypervisor, view);
        disk.unpacked_path = unpacked_path(plan.hypervisor, di, view);
        disk.overlay_path = places.changes + "/" + ids;
        disk.overlay_path += places.changes_ending;
    } else if (overlay) {
        disk.overlay_path = view.get(config::path_storage_overlays) + "/" + ids + "-overlay.qcow2";
    }
    return disk;
}

std::optional<plugin::DiskSpec> home_disk(const VmPlan& plan, const Osf& osf,
                                          const config::View& view) {
    if (osf.user_storage_mib <= 0) return std::nullopt;
    plugin::DiskSpec disk;
    disk.role = plugin::DiskRole::home;
    disk.persistent = true;
    disk.size_bytes = static_cast<std::uint64_t>(osf.user_storage_mib) << 20U;
    if (!is_container(plan.hypervisor)) {
        disk.format = plugin::ImageFormat::qcow2;
        disk.path = view.get(config::path_storage_homes) + "/" + plan.vm.text() + "-data.qcow2";
        return disk;
    }
    const bool per_user = view.get(vm_home_per_user);
    disk.format = plugin::ImageFormat::directory;
    disk.path = view.get(config::path_storage_homefs) + "/" +
                (per_user ? plan.user_name : plan.vm.text() + "-fs");
    disk.target = per_user ? "/home/" + plan.user_name : "/home";
    return disk;
}

Result<plugin::NicSpec> nic_of(const Vm& vm, const config::View& view) {
    QVD_TRY(const network::Addresses addresses, network::addresses_of(view));
    const auto address = network::parse_ipv4(vm.address);
    if (!address.ok() || !addresses.is_vm(*address))
        return Error{ErrorKind::invalid, "network.vm_address",
                     "the VM's address " + text::quoted(vm.address) + " is not one for VMs of " +
                         addresses.text() + " (" + network::to_text(addresses.vm_first) + " to " +
                         network::to_text(addresses.vm_last) + ")"};
    plugin::NicSpec nic;
    nic.mac = network::mac_of(view.get(network_mac_prefix), *address);
    if (!view.get(network_use_dhcp))
        nic.addresses.push_back(
            {vm.address, static_cast<std::uint32_t>(addresses.prefix), view.get(network_gateway)});
    nic.dns = view.get(network_dns_server);
    nic.domain = view.get(network_domain);
    nic.bridge = view.get(network_bridge);
    nic.host_device = view.get(network_device_prefix) + vm.id.text();
    return nic;
}

VmPlan identity_of(const store::VmRecord& record) {
    VmPlan plan;
    plan.vm = record.vm.id;
    plan.uuid = record.vm.uuid;
    plan.incarnation = record.runtime.incarnation;
    plan.name = record.vm.name;
    plan.address = record.vm.address;
    plan.user = record.user.id;
    plan.user_name = record.user.login;
    plan.osf = record.osf.id;
    plan.osf_name = record.osf.name;
    plan.memory_mib = static_cast<std::uint64_t>(record.osf.memory_mib);
    return plan;
}

// What made a checkpoint is what brings it back.
std::string hypervisor_of(const store::StartOrder& order, const config::View& view) {
    const auto& checkpoint = order.record.checkpoint;
    const bool goes_back = !order.checkpoint.empty() && checkpoint;
    if (goes_back && !checkpoint->hypervisor.empty()) return checkpoint->hypervisor;
    return hkd::hypervisor_of(order.properties, view);
}

std::string runtime_folder(VmId vm, const config::View& view) {
    return view.get(config::path_run) + "/vm/" + vm.text();
}

// A login is a folder's name with vm.lxc.home.per.user: it must not lead elsewhere.
Result<void> check_login(const std::string& login) {
    if (login.empty() || login.front() == '.' || login.find('/') != std::string::npos)
        return Error{ErrorKind::invalid, "plan.login",
                     "the login " + text::quoted(login) + " cannot name a home folder"};
    return {};
}

}  // namespace

plugin::ImageFormat format_of(std::string_view file_name) {
    for (const std::string_view ending : tar_endings)
        if (file_name.ends_with(ending)) return plugin::ImageFormat::tar;
    return file_name.ends_with(".qcow2") ? plugin::ImageFormat::qcow2 : plugin::ImageFormat::raw;
}

std::string hypervisor_of(const Properties& properties, const config::View& view) {
    const auto said = [&](const auto& key) {
        const auto own = properties.find(key.name);
        return own != properties.end() && !own->second.empty() ? own->second : view.get(key);
    };
    std::string name = said(plugin::hypervisor);
    if (name == "lxc") return plugin::lxc_plugin(said(plugin::unionfs_type));
    return name;
}

Result<VmPlan> plan_start(const store::StartOrder& order, const config::View& view) {
    VmPlan plan = identity_of(order.record);
    plan.properties = order.properties;
    plan.hypervisor = hypervisor_of(order, view);
    plan.checkpoint = order.checkpoint;
    plan.di = order.di.id;
    plan.agent_token = order.agent_token;
    plan.agent_port = static_cast<std::uint32_t>(view.get(vma_port));
    plan.runtime_path = runtime_folder(plan.vm, view);
    if (!is_container(plan.hypervisor))
        plan.cpus = static_cast<std::uint32_t>(view.get(plugin::vm_kvm_cpus));
    if (view.get(vm_home_per_user)) QVD_CHECK(check_login(plan.user_name));
    plan.disks.push_back(os_disk(plan, order.di, order.record.osf.use_overlay, view));
    if (auto home = home_disk(plan, order.record.osf, view)) plan.disks.push_back(*home);
    QVD_TRY(plugin::NicSpec nic, nic_of(order.record.vm, view));
    plan.nics.push_back(std::move(nic));
    return plan;
}

ImagePlan plan_image(const store::StartOrder& order, const config::View& view) {
    ImagePlan image;
    image.hypervisor = hypervisor_of(order, view);
    image.di = order.di.id;
    image.osf = order.di.osf;
    image.format = format_of(order.di.path);
    image.path = view.get(config::path_storage_images) + "/" + order.di.path;
    image.unpacked_path = is_container(image.hypervisor)
                              ? unpacked_path(image.hypervisor, order.di, view)
                              : image.path;
    return image;
}

VmPlan plan_known(const store::VmRecord& record, Properties properties, const config::View& view) {
    VmPlan plan = identity_of(record);
    plan.hypervisor = record.runtime.hypervisor.empty() ? hypervisor_of(properties, view)
                                                        : record.runtime.hypervisor;
    plan.properties = std::move(properties);
    plan.agent_port = static_cast<std::uint32_t>(view.get(vma_port));
    plan.runtime_path = runtime_folder(plan.vm, view);
    if (record.current_di) {
        plan.di = record.current_di->id;
        plan.disks.push_back(os_disk(plan, *record.current_di, record.osf.use_overlay, view));
    }
    if (auto home = home_disk(plan, record.osf, view)) plan.disks.push_back(*home);
    // A network that was changed meanwhile must not keep the VM from being stopped.
    if (auto nic = nic_of(record.vm, view); nic.ok()) plan.nics.push_back(std::move(nic).value());
    return plan;
}

VmPlan plan_found(const FoundVm& found, const config::View& view) {
    VmPlan plan;
    plan.vm = found.vm;
    plan.uuid = found.uuid;
    plan.incarnation = found.incarnation;
    plan.name = "vm-" + found.vm.text();
    plan.hypervisor = found.hypervisor;
    plan.runtime_path = runtime_folder(plan.vm, view);
    plugin::NicSpec nic;
    nic.host_device = view.get(network_device_prefix) + found.vm.text();
    plan.nics.push_back(std::move(nic));
    return plan;
}

}  // namespace qvd::hkd
