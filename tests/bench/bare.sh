# shellcheck shell=bash
# The same images as the farm's, started by hand with the tools of their kind, to be compared with.
# Source it after world.sh.
#
#   bare_folder                  what all of it is in; sets BARE
#   bare_make lxc                prepares for containers from QVD_TEST_IMAGE
#   bare_make kvm DOMAIN         prepares for machines like libvirt's DOMAIN, which runs
#   bare_start KIND, bare_stop KIND
#   bare_address KIND            prints where its agent answers
#   bare_remove                  undoes all but the bridge, which goes with the network it is in

BARE_NET=10.233.7

bare_folder() {
    BARE=$(mktemp -d /tmp/qvd-bare-XXXXXX) && ip link add qvbare type bridge &&
        ip addr add $BARE_NET.1/24 dev qvbare && ip link set qvbare up
}

bare_address() { case $1 in lxc) echo $BARE_NET.2 ;; kvm) echo $BARE_NET.3 ;; esac; }

bare_make() { "bare_make_$1" "${2:-}"; }
bare_start() { "bare_start_$1"; }
bare_stop() { "bare_stop_$1"; }

# ---- overlayfs, a bridge port, an address -----------------------------------------------------

bare_make_lxc() {
    mkdir -p "$BARE/base" "$BARE/up" "$BARE/work" "$BARE/root" "$BARE/lxc/bare"
    tar -C "$BARE/base" --numeric-owner -xf "$QVD_TEST_IMAGE"
    cat >"$BARE/lxc/bare/config" <<C
lxc.uts.name = bare
lxc.rootfs.path = dir:$BARE/root
lxc.net.0.type = veth
lxc.net.0.link = qvbare
lxc.net.0.flags = up
lxc.net.0.ipv4.address = $(bare_address lxc)/24
lxc.mount.auto = proc:mixed sys:mixed
lxc.init.cmd = /sbin/init
lxc.signal.halt = SIGPWR
lxc.apparmor.profile = unconfined
C
}
bare_start_lxc() {
    mount -t overlay overlay -o "lowerdir=$BARE/base,upperdir=$BARE/up,workdir=$BARE/work" "$BARE/root" &&
        lxc-start -P "$BARE/lxc" -n bare -d
}
bare_stop_lxc() {
    lxc-stop -P "$BARE/lxc" -n bare -t 10
    umount "$BARE/root"
    rm -rf "${BARE:?}/up" "${BARE:?}/work" && mkdir "$BARE/up" "$BARE/work"
}

# ---- a domain like the node's: another name, overlay, bridge and address -----------------------

# The first disk's image is said in BARE/image, its format beside it.
bare_make_kvm() {
    mkdir -p "$BARE/kvm"
    virsh -q dumpxml "$1" >"$BARE/kvm/node.xml" &&
        python3 - "$BARE/kvm" "$(bare_address kvm)" <<'PYTHON'
import re, shutil, sys
import xml.etree.ElementTree as tree
folder, address = sys.argv[1:]
domain = tree.parse(f"{folder}/node.xml").getroot()
for name in ("uuid", "seclabel", "metadata"):
    for one in domain.findall(name):
        domain.remove(one)
domain.attrib.pop("id", None)
domain.find("name").text = "bare"
devices = domain.find("devices")
disk = devices.find("disk")
backing = disk.find("backingStore")
with open(f"{folder}/image", "w") as image:
    print(backing.find("source").get("file"), backing.find("format").get("type"), file=image)
disk.find("source").set("file", f"{folder}/overlay")
for disk in devices.findall("disk"):
    for one in disk.findall("backingStore"):
        disk.remove(one)
for card in devices.findall("interface"):
    card.find("source").attrib.clear()
    card.find("source").set("bridge", "qvbare")
    card.remove(card.find("target"))
for kind in ("serial", "console", "graphics", "channel", "video"):
    for one in devices.findall(kind):
        devices.remove(one)
for number, entry in enumerate(domain.iter("entry")):
    if told := entry.get("file"):
        copy = shutil.copy(told, f"{folder}/told-{number}")
        entry.set("file", copy)
        if entry.get("name").endswith("/network"):
            text = open(copy).read()
            text = re.sub(r"(?m)^address=.*", f"address={address}/24", text)
            open(copy, "w").write(re.sub(r"(?m)^gateway=.*\n", "", text))
tree.ElementTree(domain).write(f"{folder}/bare.xml")
PYTHON
}
bare_start_kvm() {
    local image format
    read -r image format <"$BARE/kvm/image"
    qemu-img create -q -f qcow2 -b "$image" -F "$format" "$BARE/kvm/overlay" &&
        virsh -q create "$BARE/kvm/bare.xml"
}
bare_stop_kvm() { virsh -q destroy bare; }

bare_remove() {
    lxc-stop -P "$BARE/lxc" -n bare -k >/dev/null 2>&1
    virsh -q destroy bare >/dev/null 2>&1
    umount "$BARE/btrfs" "$BARE/root" 2>/dev/null
    rm -rf --one-file-system "$BARE"
}
