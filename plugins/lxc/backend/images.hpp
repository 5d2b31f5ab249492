// This node's unpacked copies of disk images: `FOLDER/NAME` is one, whole, once
// `FOLDER/.NAME.complete` is beside it. While one is made its lock `FOLDER/lock.NAME` is held
// (flock), and the parts lie in `FOLDER/untar-NAME-...`.
#pragma once

#include "backend/folders.hpp"
#include "backend/settings.hpp"
#include "backend/trees.hpp"
#include "common/fields.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <string>

namespace qvd::lxc {

struct UnpackedImage {
    std::string path;
    std::string root;  // what a container sees: the path, or its folder rootfs (extended layout)
    std::uint64_t bytes = 0;
};

class Images {
public:
    // Everything given outlives it. `folder`: where images are put that nobody names a place for.
    Images(std::string folder, const Settings& settings, const sdk::Core& core, const Trees& trees,
           Sweeper& sweeper)
        : folder_(std::move(folder)),
          settings_(settings),
          core_(core),
          trees_(trees),
          sweeper_(sweeper) {}
    Images(const Images&) = delete;
    Images& operator=(const Images&) = delete;
    virtual ~Images() = default;

    // Where this image's copy belongs.
    [[nodiscard]] std::string target_of(const sdk::Image& image) const;

    // Unpacks the archive to `target`, or waits for who is doing so; at once if it is there.
    // Several threads and nodes may do it at the same time. Throws sdk::Failure.
    UnpackedImage prepare(const std::string& archive, const std::string& target, sdk::Call& call);
    // Throws sdk::Failure(QVD_NOT_FOUND) if it is not there, or not whole.
    [[nodiscard]] static UnpackedImage find(const std::string& target);
    // Also of any other tree of this plugin's that nobody uses. Throws sdk::Failure.
    void remove(const std::string& target);
    // Removes what unpacking left behind and nobody is at any more.
    void collect();

protected:
    // Whether a VM on this node has its files there now.
    [[nodiscard]] virtual bool in_use(const std::string& /*target*/) const { return false; }

private:
    [[nodiscard]] static UnpackedImage find_for_use(const std::string& target);
    UnpackedImage unpack(const std::string& archive, const std::string& target, sdk::Call& call);
    [[nodiscard]] std::string finish(const Fields& result, const std::string& part,
                                     const std::string& target) const;

    std::string folder_;
    const Settings& settings_;
    sdk::Core core_;
    const Trees& trees_;
    Sweeper& sweeper_;
};

}  // namespace qvd::lxc
