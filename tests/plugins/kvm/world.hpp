// One test's storage and configuration, instances of the plugin, and VMs for them.
#pragma once

#include "node.hpp"
#include "tests/plugins/lxc/core_stand_in.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace qvd::test {

class World {
public:
    World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    std::string path(const std::string& below) const { return root_ + "/" + below; }
    std::map<std::string, std::string> configuration;

    // An empty qcow2 image of 16 MiB, made by qemu-img; its path.
    std::string make_image(const std::string& name = "7-disk.qcow2") const;
    // Users other than root reach what is in here, the guest's kernel too.
    void open_to_others() const;
    // What of a run there is on the node: domains, devices, sockets, tokens, overlays that are not
    // kept. Empty when all is undone.
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
    ~Backend() { drop(); }

    const qvd_hypervisor& table() const { return *table_; }
    void* self() const { return self_; }
    CoreStandIn& core() { return core_; }
    std::string refused;  // why create() did; empty if it did not
    // As if the core was killed: the instance goes, the guests stay.
    void drop();

private:
    CoreStandIn core_;
    const qvd_hypervisor* table_;
    void* self_ = nullptr;
};

// A VM of the tests' guest.
class VmOrder {
public:
    VmOrder(const World& world, std::uint64_t id, std::uint64_t which = 1);

    const qvd_vm* raw();
    std::string address() const { return address_; }
    std::string domain() const { return domain_; }
    // What the guest answers to an order (guest/run); tells what its console said if it does not.
    std::string asks(const std::string& word) const;

    std::uint64_t incarnation;
    bool persistent = false;
    bool read_only = false;
    qvd_image_format format = QVD_FORMAT_QCOW2;
    std::string image;
    std::string bridge;
    std::string home;
    std::map<std::string, std::string> properties;

private:
    std::uint64_t id_;
    std::string uuid_;
    std::string name_;
    std::string mac_;
    std::string address_;
    std::string device_;
    std::string domain_;
    std::string overlay_;
    std::string runtime_;
    qvd_vm vm_{};
    std::vector<qvd_disk> disks_;
    std::vector<qvd_property> raw_properties_;
    qvd_address addresses_[1] = {};
    qvd_str dns_[1] = {};
    qvd_nic nics_[1] = {};
};

// A node with libvirt, an image and an instance, and the calls that a test makes of it.
struct Stage {
    Stage() : image(world.make_image()), backend(std::make_unique<Backend>(world)) {}

    using Function = qvd_status (*qvd_hypervisor::*)(void*, const qvd_vm*, qvd_call*);
    qvd_status call(Function function, VmOrder& vm, CallStandIn& call) {
        return (backend->table().*function)(backend->self(), vm.raw(), call.raw());
    }
    // Fails the test unless it is QVD_OK.
    void must(Function function, VmOrder& vm);
    void must_start(VmOrder& vm) { must(&qvd_hypervisor::start, vm); }
    Told state(VmOrder& vm);
    std::vector<Told> survey();

    Libvirtd libvirtd;
    World world;
    std::string image;
    std::unique_ptr<Backend> backend;
};

}  // namespace qvd::test
