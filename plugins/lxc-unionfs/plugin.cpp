// The plugin lxc-unionfs: its manifest and its keys.
#include "union_store.hpp"

#include <qvd/plugin.hpp>

namespace {

constexpr qvd_config_key keys[] = {
    QVD_LXC_KEYS,
    qvd::sdk::key("vm.lxc.unionfs.type", QVD_TEXT, "overlayfs",
                  "how a container's file system is put together, also as a property of an OSF or "
                  "a VM; btrfs makes lxc mean lxc-btrfs",
                  "overlayfs|unionfs-fuse|fuse-overlayfs|bind|btrfs"),
    qvd::sdk::key("vm.lxc.unionfs.bind.ro", QVD_BOOLEAN, "1",
                  "with vm.lxc.unionfs.type = bind, also as a property of an OSF or a VM: the VMs "
                  "of an image cannot write to it; otherwise each writes into the same files as "
                  "all the others"),
    qvd::sdk::key("command.unionfs-fuse", QVD_PATH, "/usr/bin/unionfs-fuse",
                  "for vm.lxc.unionfs.type = unionfs-fuse"),
    qvd::sdk::key("command.fuse-overlayfs", QVD_PATH, "/usr/bin/fuse-overlayfs",
                  "for vm.lxc.unionfs.type = fuse-overlayfs"),
};

}  // namespace

QVD_PLUGIN_WITH_KEYS("lxc-unionfs", QVD_VERSION,
                     "VMs as LXC containers, their files a union of a shared image and their own "
                     "changes",
                     "Apache-2.0", keys, qvd::sdk::provides<qvd::lxc::LxcUnionfs>())
