// The plugin lxc-btrfs: its manifest and its keys.
#include "btrfs_store.hpp"

#include <qvd/plugin.hpp>

namespace {

constexpr qvd_config_key keys[] = {
    QVD_LXC_KEYS,
    qvd::sdk::key("path.storage.btrfs.root", QVD_PATH, "${path.storage.root}",
                  "a btrfs, for images and VMs of lxc-btrfs"),
    qvd::sdk::key("vm.lxc.btrfs.quota", QVD_INTEGER, "0",
                  "MiB that a VM of lxc-btrfs may change in its files, also as a property of an "
                  "OSF or a VM; 0: no limit",
                  "0..1000000000"),
};

}  // namespace

QVD_PLUGIN_WITH_KEYS("lxc-btrfs", QVD_VERSION,
                     "VMs as LXC containers, their files a btrfs snapshot of a shared image",
                     "Apache-2.0", keys, qvd::sdk::provides<qvd::lxc::LxcBtrfs>())
