#include "settings.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace qvd::kvm {

namespace {

// QEMU takes file names apart at commas, and libvirt's own files are named after domains.
std::string path_of(const sdk::Core& core, const char* key) {
    std::string path(core.config(key));
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (path.empty() || path.front() != '/')
        throw sdk::Failure(QVD_INVALID,
                           std::string(key) + " must be an absolute path, it is \"" + path + "\"");
    return path;
}

std::string prefix_of(const sdk::Core& core, const char* key) {
    std::string prefix(core.config(key));
    const bool plain = std::all_of(prefix.begin(), prefix.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (prefix.empty() || !plain)
        throw sdk::Failure(QVD_INVALID,
                           std::string(key) + R"( must be made of a-z, 0-9, "-" and "_")");
    return prefix;
}

// A VM's properties, and behind them the configuration.
class Answers {
public:
    Answers(const sdk::Core& config, const sdk::Vm& vm) : config_(config), own_(vm.properties()) {}

    [[nodiscard]] std::string text(const char* key) const {
        const auto own = own_.find(key);
        return std::string(own ? *own : config_.config(key));
    }
    [[nodiscard]] bool yes(const char* key) const {
        const std::string said = text(key);
        for (const char* word : {"1", "yes", "true", "on"})
            if (said == word) return true;
        for (const char* word : {"0", "no", "false", "off"})
            if (said == word) return false;
        throw sdk::Failure(QVD_INVALID, std::string(key) + " is 1 or 0, not \"" + said + "\"");
    }
    [[nodiscard]] std::uint32_t number(const char* key, std::uint32_t low,
                                       std::uint32_t high) const {
        return number_from(key, text(key), low, high);
    }
    [[nodiscard]] std::string one_of(const char* key,
                                     std::initializer_list<std::string_view> words) const {
        std::string said = text(key);
        std::string all;
        for (const std::string_view word : words) {
            if (said == word) return said;
            all += (all.empty() ? "" : ", ") + std::string(word);
        }
        throw sdk::Failure(QVD_INVALID,
                           std::string(key) + " is one of " + all + ", not \"" + said + "\"");
    }
    // Empty, or an absolute path.
    [[nodiscard]] std::string file(const char* key) const {
        std::string path = text(key);
        if (!path.empty() && path.front() != '/')
            throw sdk::Failure(
                QVD_INVALID,
                std::string(key) + " must be an absolute path, it is \"" + path + "\"");
        return path;
    }
    [[nodiscard]] std::uint32_t cpus(std::uint32_t planned) const {
        const auto own = own_.find("vm.kvm.cpus");
        if (own) return number_from("vm.kvm.cpus", std::string(*own), 1, 1024);
        return planned == 0 ? 1 : planned;
    }

private:
    static std::uint32_t number_from(const char* key, const std::string& said, std::uint32_t low,
                                     std::uint32_t high) {
        std::uint32_t number = 0;
        const char* const end = said.data() + said.size();
        const auto read = std::from_chars(said.data(), end, number);
        if (read.ec != std::errc() || read.ptr != end || number < low || number > high)
            throw sdk::Failure(QVD_INVALID, std::string(key) + " is a number from " +
                                                std::to_string(low) + " to " +
                                                std::to_string(high) + ", not \"" + said + "\"");
        return number;
    }

    const sdk::Core& config_;
    sdk::Properties own_;
};

}  // namespace

Settings::Settings(const sdk::Core& from)
    : uri(from.config("vm.kvm.uri")),
      run(path_of(from, "path.run") + "/vm"),
      overlays(path_of(from, "path.storage.overlays")),
      homes(path_of(from, "path.storage.homes")),
      suspended(path_of(from, "path.storage.suspended")),
      snapshots(path_of(from, "path.storage.snapshots")),
      captures(path_of(from, "path.serial.captures")),
      state(path_of(from, "path.kvm.state")),
      name_prefix(prefix_of(from, "internal.vm.kvm.name.prefix")),
      core(from) {
    if (uri.empty()) throw sdk::Failure(QVD_INVALID, "vm.kvm.uri is empty: try qemu:///system");
}

VmSettings::VmSettings(const Settings& settings, const sdk::Vm& vm) {
    const Answers answers(settings.core, vm);
    accelerator = answers.one_of("vm.kvm.accel", {"auto", "kvm", "tcg"});
    machine = answers.one_of("vm.kvm.machine", {"pc", "q35"});
    cpus = answers.cpus(vm.cpus());
    virtio = answers.yes("vm.kvm.virtio");
    home_index = answers.number("vm.kvm.home.drive.index", 1, 25);
    kernel = answers.file("vm.kvm.kernel");
    initrd = answers.file("vm.kvm.initrd");
    command_line = answers.text("vm.kvm.cmdline");
    vnc = answers.yes("vm.vnc.redirect");
    vnc_options = answers.text("vm.vnc.opts");
    serial = answers.yes("vm.serial.redirect");
    capture = answers.yes("vm.serial.capture");
    if (kernel.empty() && !(initrd.empty() && command_line.empty()))
        throw sdk::Failure(QVD_INVALID,
                           "vm.kvm.initrd and vm.kvm.cmdline belong to vm.kvm.kernel, which is not "
                           "set: the image has its own boot loader");
}

}  // namespace qvd::kvm
