// Unions made by a daemon on this node, through FUSE: one daemon for each VM, in a cgroup of the
// VM's, "qvd.files.CONTAINER". It ends when its mount is taken off; the cgroup tells who is left of
// those that did not.
#pragma once

#include "union.hpp"

#include <qvd/processes.hpp>

#include <string>
#include <vector>

namespace qvd::lxc {

class FuseUnion : public Union {
public:
    // Arguments for layers; the first is the program.
    using Arguments = std::vector<std::string> (*)(const std::string& program, const Layers&);
    // `processes` outlives it. `key`: that says where the program is. `log_folder`: for what the
    // daemon says.
    FuseUnion(std::string name, std::string key, std::string program, Arguments arguments,
              sdk::Processes& processes, std::string log_folder)
        : Union(std::move(name)),
          key_(std::move(key)),
          program_(std::move(program)),
          arguments_(arguments),
          processes_(processes),
          log_folder_(std::move(log_folder)) {}

    [[nodiscard]] std::string obstacle(const std::string& folder) const override;
    [[nodiscard]] std::string mapping_obstacle_in(const std::string& /*folder*/,
                                                  const UserMap& /*map*/) const override {
        return "files of vm.lxc.unionfs.type = " + name() + " belong to the node's own ids";
    }
    void mount(const Layers& layers, const std::string& container) override;

    // Takes over the daemons that an earlier core started: their end is told to this one. Returns
    // those that have ended meanwhile.
    static std::vector<sdk::Process> adopt(sdk::Processes& processes);

    // The daemon's name among the processes that the core holds, and back to the container's.
    static std::string label_of(const std::string& container);
    static std::string container_of(const std::string& label);
    static std::int64_t began_ms(const std::string& label);

private:
    void await_mount(int pid, const std::string& at, const std::string& log) const;

    std::string key_;
    std::string program_;
    Arguments arguments_;
    sdk::Processes& processes_;
    std::string log_folder_;
};

std::vector<std::string> unionfs_fuse_arguments(const std::string& program, const Layers& layers);
std::vector<std::string> fuse_overlayfs_arguments(const std::string& program, const Layers& layers);

}  // namespace qvd::lxc
