#include "hkd/checkpoints.hpp"

#include "base/log.hpp"

#include <filesystem>

namespace qvd::hkd {

namespace {

// Lexically: a checkpoint's path has no ".." in it, and a link below is removed, not followed.
bool is_below(const std::filesystem::path& path, const std::string& storage) {
    if (storage.empty() || !path.is_absolute() || path != path.lexically_normal()) return false;
    const std::string inside = path.lexically_relative(storage).string();
    return !inside.empty() && inside != "." && !inside.starts_with("..");
}

}  // namespace

void remove_checkpoint(VmId vm, const std::string& path, const std::string& storage) {
    if (path.empty()) return;
    if (!is_below(path, storage))
        return log::warn("vm.checkpoint_not_removed", {{"vm", vm}, {"path", path}},
                         "it does not lie below " + storage + ": remove it by hand");
    std::error_code why;
    std::filesystem::remove_all(path, why);
    if (why)
        log::warn("vm.checkpoint_not_removed", {{"vm", vm}, {"path", path}}, why.message());
    else
        log::info("vm.checkpoint_removed", {{"vm", vm}, {"path", path}}, "");
}

}  // namespace qvd::hkd
