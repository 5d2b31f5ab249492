// The plugin lxc-unionfs: its manifest and its keys.
#include "lxc_unionfs.hpp"

#include <qvd/plugin.hpp>

namespace {

constexpr qvd_config_key keys[] = {
    QVD_LXC_KEYS,
    qvd::sdk::key("vm.lxc.unionfs.type", QVD_TEXT, "overlayfs",
                  "which union file system joins the image and a VM's changes: overlayfs"),
};

}  // namespace

QVD_PLUGIN_WITH_KEYS("lxc-unionfs", QVD_VERSION,
                     "VMs as LXC containers, their files a union of a shared image and their own "
                     "changes",
                     "Apache-2.0", keys, qvd::sdk::provides<qvd::lxc::LxcUnionfs>())
