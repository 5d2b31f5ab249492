# shellcheck shell=bash
# A libvirtd in mounts of its own: with folders and settings that nobody else sees, for machines where
# none is run by systemd, and for tests. Source it inside those mounts (unshare --mount).
#
#   libvirt_folders         empty folders of libvirt over the machine's
#   libvirt_run [FOLDER]    becomes libvirtd (exec); its socket is FOLDER/libvirt-sock (/run/libvirt)

libvirt_folders() {
    local folder
    for folder in /etc/libvirt /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
        mkdir -p "$folder" && mount -t tmpfs -o mode=755 none "$folder" || return 1
    done
    # As root: without udev's rules nobody else may open /dev/kvm, and libvirt asks QEMU anew at every
    # look at a machine whose answer it cannot keep.
    printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'stdio_handler = "file"' \
        'cgroup_controllers = [ ]' 'namespaces = [ ]' 'remember_owner = 0' >/etc/libvirt/qemu.conf
}

libvirt_run() {
    local at=${1:-/run/libvirt}
    mkdir -p "$at" || return 1
    printf '%s\n' 'auth_unix_ro = "none"' 'auth_unix_rw = "none"' 'unix_sock_rw_perms = "0700"' \
        "unix_sock_dir = \"$at\"" >/etc/libvirt/libvirtd.conf
    exec libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirt/own.pid
}
