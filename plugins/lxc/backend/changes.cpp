#include "backend/changes.hpp"

#include "common/fields.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace qvd::lxc {

std::string Changes::path_of(const sdk::Vm& vm, const sdk::Disk& disk,
                             const std::string& kind) const {
    if (kind == kinds_.front() && !disk.overlay_path().empty())
        return std::string(disk.overlay_path());
    return folder_ + "/" + std::to_string(disk.di_id()) + "-" + std::to_string(vm.id()) + "-" +
           kind;
}

std::vector<std::string> Changes::of(std::uint64_t vm_id) const {
    std::vector<std::string> found;
    for (const std::string& name : names_in(folder_)) {
        const std::size_t dash = name.find('-');
        if (dash == std::string::npos || !parse_number(std::string_view(name).substr(0, dash)))
            continue;
        const std::string rest = name.substr(dash + 1);
        const std::string begins = std::to_string(vm_id) + "-";
        if (std::any_of(kinds_.begin(), kinds_.end(),
                        [&](const std::string& kind) { return rest == begins + kind; }))
            found.push_back(folder_ + "/" + name);
    }
    return found;
}

void Changes::discard(const std::string& path) {
    if (!sweeper_.discard(path))
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot discard " + path + ": " + std::strerror(errno));
}

void Changes::begin(const sdk::Vm& vm, const sdk::Disk& disk, const std::string& path) {
    if (disk.persistent() && !disk.read_only()) return;
    // Afresh: also what an older image of this VM may have left.
    for (const std::string& old : of(vm.id())) discard(old);
    discard(path);
}

void Changes::remove(std::uint64_t vm_id) {
    for (const std::string& path : of(vm_id)) discard(path);
}

void Changes::collect() {
    sweeper_.sweep_discarded(folder_);
}

}  // namespace qvd::lxc
