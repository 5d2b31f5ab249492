#include "processes.hpp"

#include "files.hpp"

#include <cstdlib>
#include <string_view>

namespace qvd::kvm {

namespace {

// What follows "-uuid" among arguments that end with a zero byte each.
std::string uuid_in(std::string_view arguments) {
    using namespace std::string_view_literals;
    constexpr std::string_view option = "\0-uuid\0"sv;
    const std::size_t at = arguments.find(option);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = arguments.substr(at + option.size());
    return std::string(rest.substr(0, rest.find('\0')));
}

}  // namespace

QemuProcesses::QemuProcesses(const std::string& proc) {
    for (const std::string& name : names_in(proc)) {
        const int pid = std::atoi(name.c_str());  // NOLINT(cert-err34-c): 0 is no process
        if (pid <= 0) continue;
        const auto program = read_file(proc + "/" + name + "/comm");
        if (!program || program->rfind("qemu", 0) != 0) continue;
        const auto arguments = read_file(proc + "/" + name + "/cmdline");
        if (!arguments) continue;
        if (std::string uuid = uuid_in(*arguments); !uuid.empty()) by_uuid_[std::move(uuid)] = pid;
    }
}

int QemuProcesses::of(const std::string& uuid) const {
    const auto found = by_uuid_.find(uuid);
    return found == by_uuid_.end() ? 0 : found->second;
}

}  // namespace qvd::kvm
