# shellcheck shell=bash
# left_of_quickstart [FOLDER]: prints what there still is of a quickstart, one thing a line: files
# (below FOLDER, if it ran with that as its root), processes, cgroups, network, loop devices.
left_of_quickstart() {
    local path
    for path in "${1:-}/var/lib/qvd-quickstart" "${1:-}/run/qvd-quickstart" /sys/class/net/qvdquick0; do
        [ ! -e "$path" ] || echo "$path"
    done
    ps -eo pid,args | grep -E '(/var/lib|/run)/qvd-quickstart/|guest=quickstart-' | grep -v grep || true
    find /sys/fs/cgroup -maxdepth 6 -name 'lxc.*.quickstart-*'
    losetup -n -O BACK-FILE 2>/dev/null | grep "/var/lib/qvd-quickstart/" || true
    nft list tables | grep qvd-quick || true
}
