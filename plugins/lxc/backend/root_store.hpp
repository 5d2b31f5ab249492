// Where the files of containers come from: the one thing in which the plugins for containers
// differ.
#pragma once

#include "backend/images.hpp"
#include "backend/settings.hpp"
#include "backend/user_map.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace qvd::lxc {

// The files of a VM, mounted.
struct Root {
    std::string path;
    // Other VMs have the very same files: nothing of this one's own may be written there.
    bool shared = false;
    bool read_only = false;
    UserMapPtr map = {};  // its files are owned by these ids
};

// Called with the VM's lock held; for different VMs at once.
class RootStore {
public:
    explicit RootStore(const Settings& settings) : settings_(settings) {}
    RootStore(const RootStore&) = delete;
    RootStore& operator=(const RootStore&) = delete;
    virtual ~RootStore() = default;

    // This node's copies of images.
    virtual Images& images() = 0;
    // At the node's start: goes on with what an earlier process was removing, and complains of what
    // does not work here. No VM's lock is held.
    virtual void collect() = 0;

    // Makes the VM's files ready for a start, from the unpacked image; throws sdk::Failure.
    // `map`: whose ids own them; null: the node's.
    virtual Root mount(const sdk::Vm& vm, const UnpackedImage& image, const UserMapPtr& map) = 0;
    // Makes a home if there is none, of this many bytes at most (0: as many as there are); also of
    // one that was there before. Why it can have more all the same; empty if it cannot.
    virtual std::string make_home(const std::string& path, std::uint64_t bytes);
    // Why this VM's files cannot be owned by other ids; empty if they can.
    virtual std::string mapping_obstacle_of(const sdk::Vm& vm, const UnpackedImage& image,
                                            const UserMap& map) = 0;
    // At the node's start, a sentence about that for the VMs of the node's own settings.
    virtual std::string usual_mapping_obstacle(const UserMap& map) = 0;
    // Undoes it, also after a crash; false while something holds on to it. Nothing to undo: true.
    virtual bool unmount(std::uint64_t vm_id);
    // VMs that something is mounted for, whether or not they run.
    virtual std::vector<std::uint64_t> mounted();
    // Whatever the VM changed in its files, of any image. It does not run.
    virtual void remove_changes(std::uint64_t vm_id) = 0;
    // What the VM's changes take on disk; 0: nobody has counted.
    virtual std::uint64_t changed_bytes(std::uint64_t /*vm_id*/) { return 0; }

    // Called, on any thread, when the files of a VM that runs are gone, with a sentence.
    using Lost = std::function<void(std::uint64_t vm_id, const std::string& sentence)>;
    // Before the first mount().
    void when_lost(Lost lost) { lost_ = std::move(lost); }

protected:
    void lose(std::uint64_t vm_id, const std::string& sentence) const {
        if (lost_) lost_(vm_id, sentence);
    }
    // Where the VM's files are to be mounted, for the node's root and for `map`'s.
    [[nodiscard]] std::string make_mount_point(std::uint64_t vm_id, const UserMapPtr& map) const;
    [[nodiscard]] const Settings& settings() const { return settings_; }

private:
    const Settings& settings_;
    Lost lost_;
};

}  // namespace qvd::lxc
