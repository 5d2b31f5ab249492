// Which ids a container has on the node.
#include "backend/containers.hpp"
#include "backend/folders.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace qvd::lxc {

namespace {

constexpr std::uint32_t last_id = 2'147'483'647;  // what programs take for an id

}  // namespace

UserMapPtr Containers::map_of(const sdk::Vm& vm, const UnpackedImage& image) {
    const std::string wanted(vm.properties().get("vm.lxc.unprivileged", settings_.unprivileged));
    check_unprivileged(wanted);
    if (wanted == "0") return nullptr;
    std::string obstacle;
    try {
        // Neighbours have other ids, so that one that got out would not be another's root either.
        const std::uint32_t slots = (last_id - settings_.first_id) / settings_.ids;
        const auto slot = static_cast<std::uint32_t>(vm.id() % std::max(slots, 1U));
        UserMapPtr map = make_user_map(settings_.first_id + slot * settings_.ids, settings_.ids);
        obstacle = store_.mapping_obstacle_of(vm, image, *map);
        const auto home = disk_of(vm, QVD_DISK_HOME);
        if (obstacle.empty() && home) obstacle = mapping_obstacle(std::string(home->path()), *map);
        if (obstacle.empty()) obstacle = reach_obstacle();
        if (obstacle.empty()) return map;
    } catch (const sdk::Failure& failure) {
        obstacle = failure.what();
    }
    if (wanted == "1") throw sdk::Failure(QVD_UNAVAILABLE, "vm.lxc.unprivileged = 1: " + obstacle);
    return nullptr;
}

// liblxc, as the container's root, has to get to its folder and to the container's files. It can
// read nothing on the way.
std::string Containers::reach_obstacle() const {
    if (::chmod(settings_.run.c_str(), 0711) != 0)
        return "cannot open " + settings_.run + ": " + std::strerror(errno);
    for (const std::string& place : {settings_.run, settings_.given, settings_.rootfs})
        for (std::size_t slash = 0; slash != std::string::npos;) {
            slash = place.find('/', slash + 1);
            struct stat found {};
            const std::string folder = place.substr(0, slash);
            if (::stat(folder.c_str(), &found) == 0 && (found.st_mode & S_IXOTH) == 0)
                return "only root gets through the folder " + folder + " (chmod o+x)";
        }
    return {};
}

void Containers::tell_of_user_maps() {
    if (settings_.unprivileged == "0") return;
    std::string obstacle;
    try {
        obstacle = store_.usual_mapping_obstacle(*make_user_map(settings_.first_id, settings_.ids));
        if (obstacle.empty()) obstacle = reach_obstacle();
    } catch (const sdk::Failure& failure) {
        obstacle = failure.what();
    }
    if (obstacle.empty()) return core_.info("root of a container is nobody on this node");
    core_.warning((settings_.unprivileged == "1"
                       ? "containers cannot start: vm.lxc.unprivileged = 1, and "
                       : "root of a container is the node's own (vm.lxc.unprivileged): ") +
                  obstacle);
}

}  // namespace qvd::lxc
