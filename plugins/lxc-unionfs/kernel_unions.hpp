// Unions that the kernel makes by itself.
#pragma once

#include "union.hpp"

namespace qvd::lxc {

class Overlayfs : public Union {
public:
    Overlayfs() : Union("overlayfs") {}
    [[nodiscard]] std::string obstacle(const std::string& folder) const override;
    void mount(const Layers& layers, const std::string& container) override;
};

// No union at all: the image itself, which all its VMs share.
class Bind : public Union {
public:
    explicit Bind(bool read_only) : Union("bind"), read_only_(read_only) {}
    [[nodiscard]] bool keeps_changes() const override { return false; }
    [[nodiscard]] std::string obstacle(const std::string& /*folder*/) const override { return {}; }
    void mount(const Layers& layers, const std::string& container) override;

private:
    bool read_only_;
};

}  // namespace qvd::lxc
