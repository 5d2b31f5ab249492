# shellcheck shell=bash
# A world of its own (network, processes, mounts) for a script with a node, so that the node's
# bridge, firewall and port are nobody else's, and nothing survives it. Source it, then
#   enter_world "$0" "$@"
# which returns inside; it ends the script with 77 and a reason where that cannot be had.
# Environment: QVD_BIN, QVD_PLUGINS, QVD_TEST_IMAGE.
world_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$world_here/display/rig.sh"
. "$world_here/node.sh"

skip() { echo "skipped: $*"; exit 77; }
world_needs() {
    local program
    [ "$(id -u)" = 0 ] || skip "only root can start containers here"
    [ -x "${QVD_BIN:-}/qvd-node" ] || skip "QVD_BIN names no folder with a built qvd-node"
    [ -d "${QVD_PLUGINS:-}" ] || skip "QVD_PLUGINS names no folder of built plugins"
    [ -r "${QVD_TEST_IMAGE:-}" ] || skip "QVD_TEST_IMAGE names no image (qvd-image-build makes one)"
    [ -z "$(rig_missing)" ] || skip "not installed: $(rig_missing)"
    for program in lxc-start nft ip curl openssl nsenter unshare busybox ping python3 psql ssh; do
        command -v "$program" >/dev/null || skip "not installed: $program"
    done
    for program in qvd-l7r qvd-broker qvd-db; do
        id "$program" >/dev/null 2>&1 || skip "there is no user $program (tests/run makes it)"
    done
}
# liblxc looks for bridges in sysfs, which shows the network of who mounted it.
world_sysfs() {
    local kept
    kept=$(mktemp -d) && mount --rbind /sys/fs/cgroup "$kept" && mount -t sysfs sysfs /sys &&
        mount --rbind "$kept" /sys/fs/cgroup && umount -l "$kept" && rmdir "$kept"
}
enter_world() {
    local apart=(unshare -n -m -p --fork --kill-child --mount-proc --propagation private)
    if [ -z "${QVD_WORLD:-}" ]; then
        world_needs
        "${apart[@]}" ip link set lo up || skip "no network, process and mount namespaces can be made"
        # Not exec: the script proper is process 1 of its world.
        QVD_WORLD=inside "${apart[@]}" bash "$@"
        exit
    fi
    ip link set lo up && world_sysfs || skip "no network with its sysfs can be made"
}
