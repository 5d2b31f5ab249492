// A node of its own for these tests: network and mount namespaces, a bridge, storage in a temporary
// folder, a tiny image, and the plugin loaded from its file.
#pragma once

#include "core_stand_in.hpp"
#include "tests/plugins/parts.hpp"
#include "tests/plugins/web_server.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace qvd::test {

// The storage and configuration of one test; gone with it, and whatever it left behind with it.
class World {
public:
    World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    std::string path(const std::string& below) const { return root_ + "/" + below; }
    // Where unpacked images lie, and what VMs changed.
    std::string images(const std::string& below) const;
    std::string changes(const std::string& below) const;
    // The tree of what this VM changed in image 7.
    std::string changes_of(std::uint64_t vm) const;
    std::map<std::string, std::string> configuration;

    // Packs the files that `fill` puts into a folder on top of a working busybox system.
    std::string make_image(const std::string& name,
                           const std::function<void(const std::string&)>& fill,
                           const std::string& tar_options = "-z") const;
    std::string make_image() const {
        return make_image("7-tiny.tar.gz", [](const std::string&) {});
    }
    // What of this world's containers there is on the node: mounts, cgroups, devices, sockets,
    // tokens, half-made folders. Empty when all is undone.
    std::string left_overs() const;

private:
    std::string root_;
};

// An instance of the plugin.
class Backend {
public:
    explicit Backend(const World& world);
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    ~Backend();

    const qvd_hypervisor& table() const { return *table_; }
    void* self() const { return self_; }
    CoreStandIn& core() { return core_; }
    // Why create() refused; empty if it did not.
    std::string refused;
    // What collect() complained of.
    std::string refused_to_collect;
    // As if the core was killed: the instance goes, the containers stay.
    void drop();

private:
    CoreStandIn core_;
    const qvd_hypervisor* table_;
    void* self_ = nullptr;
};

// A VM to be started from an unpacked image.
class VmOrder {
public:
    VmOrder(const World& world, std::uint64_t id, std::uint64_t incarnation = 1);

    const qvd_vm* raw();
    std::string address() const { return address_; }

    std::uint64_t memory_mib = 128;
    bool persistent = false;
    std::string unpacked_path;
    std::string bridge;
    std::string home;
    std::uint64_t home_bytes = 0;
    std::map<std::string, std::string> properties;
    std::vector<qvd_device> devices;

private:
    std::uint64_t id_;
    std::uint64_t incarnation_;
    std::string uuid_;
    std::string name_;
    std::string mac_;
    std::string address_;
    std::string device_;
    std::string overlay_;
    qvd_vm vm_{};
    std::vector<qvd_disk> disks_;
    qvd_address addresses_[1] = {};
    qvd_str dns_[1] = {};
    qvd_nic nics_[1] = {};
    std::vector<qvd_property> properties_;
};

// Unpacks an image; the status, with path or sentence in `call`.
qvd_status prepare(Backend& backend, const std::string& archive, const std::string& target,
                   CallStandIn& call);

// What is tested: "overlayfs", "unionfs-fuse", "fuse-overlayfs" or "btrfs", by QVD_TEST_KIND.
const std::string& kind();
// vm.lxc.unprivileged, by QVD_TEST_UNPRIVILEGED; "auto".
const char* unprivileged();
// The bridge of this process's network.
std::string bridge_name();

}  // namespace qvd::test
