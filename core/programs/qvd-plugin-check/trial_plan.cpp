#include "trial_plan.hpp"

#include "base/file.hpp"
#include "base/text.hpp"
#include "config/key.hpp"
#include "config/properties.hpp"

#include <arpa/inet.h>

#include <array>
#include <cstdio>
#include <functional>
#include <optional>

namespace qvd::check {

namespace {

Error wrong(const std::string& code, const std::string& sentence) {
    return {ErrorKind::invalid, "trial." + code, sentence};
}

std::optional<plugin::ImageFormat> format_of(std::string_view word) {
    if (word == "raw") return plugin::ImageFormat::raw;
    if (word == "qcow2") return plugin::ImageFormat::qcow2;
    if (word == "tar") return plugin::ImageFormat::tar;
    if (word == "directory") return plugin::ImageFormat::directory;
    return std::nullopt;
}

using Take = std::function<bool(TrialPlan&, const std::string&)>;

Take text_to(std::string TrialPlan::*member) {
    return [member](TrialPlan& plan, const std::string& value) {
        plan.*member = value;
        return true;
    };
}

template <class Number>
Take number_to(Number TrialPlan::*member, std::int64_t least, std::int64_t most) {
    return [=](TrialPlan& plan, const std::string& value) {
        const auto number = config::to_number(config::Kind::integer, value);
        if (!number || *number < least || *number > most) return false;
        plan.*member = Number(*number);
        return true;
    };
}

Take truth_to(bool TrialPlan::*member) {
    return [member](TrialPlan& plan, const std::string& value) {
        const auto truth = config::to_boolean(value);
        if (truth) plan.*member = *truth;
        return truth.has_value();
    };
}

Take format_to(plugin::ImageFormat TrialPlan::*member) {
    return [member](TrialPlan& plan, const std::string& value) {
        const auto format = format_of(value);
        if (format) plan.*member = *format;
        return format.has_value();
    };
}

struct Key {
    const char* name;
    const char* meaning;
    Take take;
};

const std::array<Key, 20>& all_keys() {
    static const std::array<Key, 20> keys{{
        {"folder", "a scratch folder for everything below (needed)", text_to(&TrialPlan::folder)},
        {"image", "the image to start VMs from (needed)", text_to(&TrialPlan::image)},
        {"image.format", "raw, qcow2, tar (default) or directory", format_to(&TrialPlan::format)},
        {"image.unpacked", "where a backend that unpacks puts it (FOLDER/images/trial)",
         text_to(&TrialPlan::unpacked)},
        {"image.read-only", "1: VMs get no overlay (0)", truth_to(&TrialPlan::read_only)},
        {"overlays", "the folder of what VMs change (FOLDER/overlays)",
         text_to(&TrialPlan::overlays)},
        {"overlay.ending", "how their names end: DI-VM then this (-overlay)",
         text_to(&TrialPlan::overlay_ending)},
        {"bridge", "of the node, for the VMs; none: they have no network",
         text_to(&TrialPlan::bridge)},
        {"address", "of the first VM; the others count on (10.91.7.10)",
         text_to(&TrialPlan::address)},
        {"prefix", "of the network (24)", number_to(&TrialPlan::prefix, 1, 30)},
        {"gateway", "that the VMs are told", text_to(&TrialPlan::gateway)},
        {"mac.prefix", "three bytes (54:52:00)", text_to(&TrialPlan::mac_prefix)},
        {"device.prefix", "of the node's ends of their network (qvdt)",
         text_to(&TrialPlan::device_prefix)},
        {"answer.port", "a TCP port on which a VM that is up takes connections; 0: none (0)",
         number_to(&TrialPlan::answer_port, 0, 65535)},
        {"heeds.stop", "0: the image does not shut down when it is asked to (1)",
         truth_to(&TrialPlan::heeds_stop)},
        {"patience", "seconds until a VM is up (30)", number_to(&TrialPlan::patience, 1, 3600)},
        {"stop.patience", "seconds until it has shut down (30)",
         number_to(&TrialPlan::stop_patience, 1, 3600)},
        {"vms", "how many at once (3)", number_to(&TrialPlan::vms, 1, 200)},
        {"memory", "MiB of each (128)", number_to(&TrialPlan::memory_mib, 1, 1 << 20)},
        {"home", "MiB of a home for each; 0: none (0)",
         number_to(&TrialPlan::home_mib, 0, 1 << 20)},
    }};
    return keys;
}

Result<void> take(TrialPlan& plan, const std::string& name, const std::string& value) {
    constexpr std::string_view setting = "set.";
    constexpr std::string_view property = "property.";
    if (name.starts_with(setting)) {
        plan.settings[name.substr(setting.size())] = value;
        return {};
    }
    if (name.starts_with(property)) {
        plan.properties[name.substr(property.size())] = value;
        return {};
    }
    if (name == "home.format") {
        const auto format = format_of(value);
        if (!format) return wrong("value", name + " cannot be " + text::quoted(value));
        plan.home_format = *format;
        return {};
    }
    for (const Key& key : all_keys()) {
        if (name != key.name) continue;
        if (key.take(plan, value)) return {};
        return wrong("value", name + " cannot be " + text::quoted(value) + ": " + key.meaning);
    }
    return wrong("key", "there is no " + text::quoted(name) + " (--help lists what there is)");
}

}  // namespace

std::string trial_help() {
    std::string help;
    for (const Key& key : all_keys()) {
        const std::string name = key.name;
        help += "  " + name + std::string(16 - name.size(), ' ') + key.meaning + "\n";
    }
    help += "  home.format     as image.format (directory)\n";
    help += "  set.KEY         the value of a configuration key, as --set\n";
    help += "  property.KEY    a property of the VMs\n";
    return help;
}

Result<TrialPlan> TrialPlan::read(const std::string& path) {
    QVD_TRY(const std::string content, file::read(path, 1U << 20U));
    QVD_TRY(const config::Properties properties, config::Properties::parse(content, path));
    TrialPlan plan;
    plan.address = "10.91.7.10";
    plan.mac_prefix = "54:52:00";
    plan.device_prefix = "qvdt";
    plan.overlay_ending = "-overlay";
    for (const auto& [name, entry] : properties.entries()) QVD_CHECK(take(plan, name, entry.value));
    if (plan.folder.empty() || plan.folder.front() != '/')
        return wrong("folder", path + ": folder must be an absolute path");
    if (plan.image.empty()) return wrong("image", path + ": image is missing");
    if (plan.unpacked.empty()) plan.unpacked = plan.folder + "/images/trial";
    if (plan.overlays.empty()) plan.overlays = plan.folder + "/overlays";
    in_addr first{};
    if (::inet_pton(AF_INET, plan.address.c_str(), &first) != 1)
        return wrong("address", path + ": address must be an IPv4 address");
    return plan;
}

std::string TrialPlan::address_of(int number) const {
    in_addr first{};
    ::inet_pton(AF_INET, address.c_str(), &first);
    first.s_addr = htonl(ntohl(first.s_addr) + static_cast<std::uint32_t>(number) - 1);
    std::array<char, INET_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET, &first, text.data(), text.size());
    return text.data();
}

plugin::ImageSpec TrialPlan::os_image() const {
    plugin::ImageSpec spec;
    spec.di = DiId{7};
    spec.osf = OsfId{5};
    spec.format = format;
    spec.path = image;
    spec.unpacked_path = unpacked;
    return spec;
}

plugin::VmSpec TrialPlan::vm(int number, std::int64_t incarnation) const {
    std::array<char, 64> text{};
    plugin::VmSpec vm;
    vm.vm = VmId{number};
    (void)std::snprintf(text.data(), text.size(), "7e57ab1e-0000-4000-8000-%012d", number);
    vm.uuid = text.data();
    vm.incarnation = incarnation;
    vm.name = "trial-" + std::to_string(number);
    vm.user = UserId{1};
    vm.user_name = "trial";
    vm.osf = OsfId{5};
    vm.osf_name = "trial";
    vm.di = DiId{7};
    vm.cpus = format == plugin::ImageFormat::tar ? 0 : 1;
    vm.memory_mib = memory_mib;
    vm.agent_token = Secret{"trial-token"};
    vm.runtime_path = folder + "/run/vm/" + std::to_string(number);
    vm.properties = properties;
    plugin::DiskSpec os;
    os.di = vm.di;
    os.format = format;
    os.read_only = read_only;
    os.path = image;
    os.unpacked_path = unpacked;
    if (!read_only) os.overlay_path = overlays + "/7-" + std::to_string(number) + overlay_ending;
    vm.disks.push_back(os);
    if (home_mib != 0) {
        plugin::DiskSpec home;
        home.role = plugin::DiskRole::home;
        home.format = home_format;
        home.persistent = true;
        home.path = folder + "/homes/" + std::to_string(number);
        home.target = "/home";
        home.size_bytes = home_mib << 20U;
        vm.disks.push_back(home);
    }
    if (!bridge.empty()) vm.nics.push_back(nic(number));
    return vm;
}

plugin::NicSpec TrialPlan::nic(int number) const {
    std::array<char, 64> mac{};
    (void)std::snprintf(mac.data(), mac.size(), "%s:7e:57:%02x", mac_prefix.c_str(),
                        static_cast<unsigned>(number) & 0xffU);
    plugin::NicSpec nic;
    nic.mac = mac.data();
    nic.addresses.push_back({address_of(number), prefix, gateway});
    nic.bridge = bridge;
    nic.host_device = device_prefix + std::to_string(number);
    return nic;
}

}  // namespace qvd::check
