# shellcheck shell=bash
# A libvirtd of the test's own world (world.sh), see examples/quickstart/libvirt.sh. After
# libvirt_folders:
#
#   libvirt_start        starts it, until it takes callers; its pid in LIBVIRTD
# shellcheck source=../../examples/quickstart/libvirt.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../examples/quickstart/libvirt.sh"

libvirt_start() {
    libvirt_run >/var/log/libvirt/out 2>&1 </dev/null &
    LIBVIRTD=$!
    rig_until 20 test -S /run/libvirt/libvirt-sock
}
