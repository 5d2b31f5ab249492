// The plugin kvm: its manifest and its keys.
#include "kvm.hpp"

#include <qvd/plugin.hpp>

namespace {

constexpr qvd_config_key keys[] = {QVD_KVM_KEYS};

}  // namespace

QVD_PLUGIN_WITH_KEYS("kvm", QVD_VERSION,
                     "VMs as virtual machines of QEMU, accelerated by KVM where the processor can, "
                     "through libvirt",
                     "Apache-2.0", keys, qvd::sdk::provides<qvd::kvm::Kvm>())
