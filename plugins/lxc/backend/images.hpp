// This node's unpacked copies of disk images: `FOLDER/NAME` is one, whole, once
// `FOLDER/.NAME.complete` is beside it. While one is made its lock `FOLDER/lock.NAME` is held
// (flock), and the parts lie in `FOLDER/untar-NAME-...`.
#pragma once

#include "backend/folders.hpp"
#include "backend/settings.hpp"

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
    Images(const Settings& settings, const sdk::Core& core, Sweeper& sweeper)
        : settings_(settings), core_(core), sweeper_(sweeper) {}

    // Unpacks the archive to `target`, or waits for who is doing so; at once if it is there.
    // Several threads and nodes may do it at the same time. Throws sdk::Failure.
    UnpackedImage prepare(const std::string& archive, const std::string& target, sdk::Call& call);
    // Throws sdk::Failure(QVD_NOT_FOUND) if it is not there, or not whole.
    [[nodiscard]] static UnpackedImage find(const std::string& target);
    void remove(const std::string& target);
    // Removes what unpacking left behind and nobody is at any more.
    void collect();

private:
    UnpackedImage unpack(const std::string& archive, const std::string& target, sdk::Call& call);

    const Settings& settings_;
    sdk::Core core_;
    Sweeper& sweeper_;
};

}  // namespace qvd::lxc
