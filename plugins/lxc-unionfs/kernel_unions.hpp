// Unions that the kernel makes by itself.
#pragma once

#include "union.hpp"

#include <atomic>

namespace qvd::lxc {

class Overlayfs : public Union {
public:
    Overlayfs() : Union("overlayfs") {}
    [[nodiscard]] std::string obstacle(const std::string& folder) const override;
    [[nodiscard]] std::string mapping_obstacle_in(const std::string& folder,
                                                  const UserMap& map) const override;
    void mount(const Layers& layers, const std::string& container) override;

private:
    mutable std::atomic<bool> maps_{false};  // that worked once
};

// No union at all: the image itself, which all its VMs share.
class Bind : public Union {
public:
    Bind() : Union("bind") {}
    [[nodiscard]] bool keeps_changes() const override { return false; }
    [[nodiscard]] std::string obstacle(const std::string& /*folder*/) const override { return {}; }
    [[nodiscard]] std::string mapping_obstacle_in(const std::string& folder,
                                                  const UserMap& map) const override {
        return mapping_obstacle(folder, map);
    }
    void mount(const Layers& layers, const std::string& container) override;
};

}  // namespace qvd::lxc
