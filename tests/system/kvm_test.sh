#!/bin/bash
# A desktop in a virtual machine: the same session as in a container, on libvirt and QEMU; and a
# container on the same node.
#   kvm_test.sh
# QVD_BIN, QVD_PLUGINS: the built programs and plugins. QVD_TEST_DISK, QVD_TEST_IMAGE: a qcow2 disk and
# an archive that qvd-image-build made of etc/images/debian-minimal.yaml. RIG_KEEP=1 keeps the folders.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/world.sh"

[ -n "${QVD_TEST_DISK:-}" ] || skip "QVD_TEST_DISK names no disk (qvd-image-build makes one)"
[ -r "${QVD_PLUGINS:-}/qvd-kvm.so" ] || skip "the plugin kvm is not built"
for program in libvirtd qemu-system-x86_64; do
    command -v "$program" >/dev/null || skip "not installed: $program"
done
enter_world "$0" "$@"
. "$here/story.sh"
. "$here/libvirt.sh"

# ---- libvirt, with folders and settings that nobody else sees --------------------------------

domains() { ls /run/libvirt/qemu/*.xml 2>/dev/null; }
qemu_pid() { cat "/run/libvirt/qemu/t-1.pid" 2>/dev/null; }

# ---- a node whose VMs are virtual machines ---------------------------------------------------

node_of_machines() {
    node_make && sed -i 's/^vm.hypervisor = .*/vm.hypervisor = kvm/' "$NODE_DIR/node.conf" &&
        printf '%s\n' 'vm.kvm.accel = tcg' 'vm.kvm.cpus = 1' 'internal.vm.kvm.name.prefix = t-' \
            "path.kvm.state = $NODE_DIR/kvm" >>"$NODE_DIR/node.conf"
}

alice=alice:wonder-1
colour='#1c2b3a'
shows() {
    rig_client "$1" "$QVD_BIN/qvdclient" -h localhost -p "$NODE_PORT" -u alice -o --json
    session_client=$RIG_CLIENT_PID
    rig_wait_pixels "$colour" 30000 240 && return
    tail -n 10 "$RIG_DIR/$1.out" "$RIG_DIR/$1.err"
    return 1
}
takes() {
    rig_type "c ${1#\#}"
    rig_wait_pixels "$1" 30000 90 && colour=$1
}

libvirt_folders || skip "this machine cannot mount a tmpfs"
node_of_machines || skip "no folder for a node can be made"
node_start
check "a node of virtual machines starts" within 40 node_is unconfigured || give_up
check "its certificate is set" qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem"
check "without libvirtd it says what is missing" within 20 log_has 'does libvirtd run' ||
    give_up
check "not even a little" not log_has event=node.running
check "libvirtd begins" libvirt_start || give_up
check "the node runs" within 30 log_has event=node.running || give_up
check "an OSF with homes is added" qa osf add name=desk memory=512 user_storage_size=256
check "a disk is added" qa di add osf=desk path="$QVD_TEST_DISK" || give_up
check "alice is added" qa user add login=alice password="${alice#*:}"
check "her VM is added" qa vm add name=one user=alice osf=desk
check "it starts" qa vm start --force
began=$SECONDS
check "it runs, and its agent answers" within 60 vm_is 1 running || give_up
echo "        $((SECONDS - began)) s from the order to the agent's answer"
rig_start 900x640 || give_up
mkdir -p "$RIG_DIR/home/.qvd/certs" && cp "$NODE_DIR/cert.pem" "$RIG_DIR/home/.qvd/certs/"
RIG_ENV=(QVDPASSWORD="${alice#*:}")
began=$SECONDS
check "alice sees her desktop" shows first || give_up
echo "        $((SECONDS - began)) s from the login to the desktop"
check "its terminal can be clicked" rig_click_pixel "$colour"
rig_type 'c() { printf "\033]11;#$1\007"; }'
check "what she types shows" takes '#20c080'

check "an OSF of containers is added" qa osf add name=boxes memory=256
check "by its property" qa osf propset vm.hypervisor=lxc-unionfs -f name=boxes
check "an archive is added" qa di add osf=boxes path="$QVD_TEST_IMAGE"
check "a VM of it is added" qa vm add name=two user=alice osf=boxes
check "a container runs beside the machine" qa vm start -f name=two --wait timeout=60 --force

machine=$(qemu_pid)
container=$(vm_init 2)
hkd=$(node_role hkd)
kill -KILL "$hkd" "$LIBVIRTD"
check "hkd and libvirtd killed: the session lives on" takes '#c08020'
check "libvirtd comes back" libvirt_start
check "another hkd comes" within 20 node_role_is_new hkd "$hkd"
check "the machine is the same" test "$(qemu_pid)" = "$machine"
check "and running" within 30 vm_is 1 running
check "so is the container" test "$(vm_field 2 state) $(vm_init 2)" = "running $container"
check "the session, too" takes '#8020c0'
check "both can be stopped" qa vm stop --force
check "the machine shuts down" within 60 vm_is 1 stopped
check "and the container" within 60 vm_is 2 stopped
check "and leaves no domain, link or token" test -z "$(domains)$(ip -o link show | grep qsys1)$(find "$NODE_DIR/run/vm" -name '*token*')"
check "its home disk stays" test -s "$NODE_DIR/storage/homes/1-data.qcow2"
check "its overlay does not" test -z "$(ls "$NODE_DIR/storage/overlays")"
summary
