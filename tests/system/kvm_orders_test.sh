#!/bin/bash
# What can be ordered of a virtual machine besides its start and its stop, on libvirt and QEMU through
# a whole node; its console and its screen, here and from afar; and what deaths do to orders.
#   kvm_orders_test.sh
# QVD_BIN, QVD_PLUGINS: the built programs and plugins. QVD_TEST_MAKE_GUEST, QVD_TEST_GUEST: who makes
# the tiny guest, and where. RIG_KEEP=1 keeps the folders.
set -u
here=$(cd "$(dirname "$0")" && pwd)
QVD_TEST_IMAGE=$0
. "$here/world.sh"
. "$here/operators.sh"

[ -r "${QVD_PLUGINS:-}/qvd-kvm.so" ] || skip "the plugin kvm is not built"
for program in libvirtd qemu-system-x86_64 qemu-img; do
    command -v "$program" >/dev/null || skip "not installed: $program"
done
if [ -z "${QVD_WORLD:-}" ]; then
    python3 "$QVD_TEST_MAKE_GUEST" "$QVD_TEST_GUEST" || exit
fi
enter_world "$0" "$@"
. "$here/story.sh"
. "$here/libvirt.sh"

alice=alice:wonder-1
# Waiting for an emulated machine takes longer.
qa() { timeout 300 "$QVD_BIN/qa" -c "$NODE_DIR/node.conf" "$@" </dev/null 2>"$NODE_DIR/qa.err"; }
node_of_tiny_machines() {
    node_make && sed -i 's/^vm.hypervisor = .*/vm.hypervisor = kvm/' "$NODE_DIR/node.conf" &&
        cp "$QVD_TEST_GUEST/vmlinux" "$QVD_TEST_GUEST/initrd.gz" "$NODE_DIR/" &&
        printf '%s\n' 'vm.kvm.accel = tcg' 'vm.kvm.cpus = 1' 'vm.kvm.machine = pc' \
            'internal.vm.kvm.name.prefix = t-' "path.kvm.state = $NODE_DIR/kvm" \
            "vm.kvm.kernel = $NODE_DIR/vmlinux" "vm.kvm.initrd = $NODE_DIR/initrd.gz" \
            'vm.kvm.cmdline = console=ttyS0 quiet panic=-1' 'vm.serial.redirect = 1' \
            'vm.vnc.redirect = 1' >>"$NODE_DIR/node.conf" &&
        qemu-img create -q -f qcow2 "$NODE_DIR/staging/tiny.qcow2" 16M
}

qemu_pid() { cat /run/libvirt/qemu/t-1.pid 2>/dev/null; }
no_qemu() { [ -z "$(qemu_pid)" ]; }
# What the guest says to a word, within SECONDS.
guest() { curl -s -m "$1" "http://$NODE_NET.254:8080/cgi-bin/run?$2"; }
guest_says() { [ "$(guest 5 "$1")" = "$2" ]; }
field_is() { [ "$(vm_field 1 "$1")" = "$2" ]; }
checkpoints() { find "$NODE_DIR/storage" -maxdepth 2 -type d -name '1-checkpoint-*'; }
refused() { # refused CODE ARGUMENT...: qa says no with that code
    qa --json "${@:2}" >"$NODE_DIR/qa.out"
    local status=$?
    [ $status != 0 ] && grep -q -- "$1" "$NODE_DIR/qa.out" "$NODE_DIR/qa.err"
}
# vnc_greets OPTION...: a viewer at the door that `qa vm vnc` opens hears QEMU's screen.
vnc_greets() {
    HOME=$NODE_DIR/home QVDPASSWORD=${ann#*:} timeout 60 "$QVD_BIN/qa" -c "$NODE_DIR/node.conf" vm vnc \
        -f id=1 port=5999 "$@" >"$NODE_DIR/vnc.out" 2>"$NODE_DIR/qa.err" </dev/null &
    local door=$! status=1
    if rig_until 20 grep -q 127.0.0.1::5999 "$NODE_DIR/vnc.out"; then
        python3 - <<'PYTHON'
import socket, sys
with socket.create_connection(("127.0.0.1", 5999), 20) as screen:
    screen.settimeout(20)
    sys.exit(not screen.recv(12).startswith(b"RFB 003."))
PYTHON
        status=$?
    fi
    kill "$door" && wait "$door" 2>/dev/null
    return $status
}
streams() { grep -c "event=$1 operator=ann" "$NODE_LOG"; }
more_streams() { [ "$(streams "$1")" -gt "$2" ]; }
# console_ends_by COMMAND...: a console that ann has open ends by that.
console_ends_by() {
    local begun ended
    begun=$(streams operator.stream)
    ended=$(streams operator.stream_ended)
    (sleep 50) | HOME=$NODE_DIR/home QVDPASSWORD=${ann#*:} timeout 60 "$QVD_BIN/qa" -c "$NODE_DIR/node.conf" vm console \
        -f id=1 --node "localhost:$NODE_PORT" --operator ann >"$NODE_DIR/console.out" 2>&1 &
    local console=$!
    rig_until 20 more_streams operator.stream "$begun" || return 1
    "$@" || return 1
    rig_until 10 more_streams operator.revoked 0 &&
        rig_until 10 more_streams operator.stream_ended "$ended"
    local status=$?
    node_kill "$console"
    return $status
}

libvirt_folders || skip "this machine cannot mount a tmpfs"
node_of_tiny_machines || skip "no folder for a node can be made"
libvirt_start || skip "libvirtd does not start here"
node_start
check "a node of virtual machines starts" within 40 node_is unconfigured || give_up
check "its certificate is set" qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem"
check "the node runs" within 40 log_has event=node.running || give_up
check "an OSF with homes is added" qa osf add name=tiny memory=96 user_storage_size=16
check "its disk is added" qa di add osf=tiny path="$NODE_DIR/staging/tiny.qcow2" || give_up
check "alice is added" qa user add login=alice password="${alice#*:}"
check "her VM is added" qa vm add name=one user=alice osf=tiny ip="$NODE_NET.254"
check "it has no checkpoint to go back to" refused 'no checkpoint' vm restore -f id=1
check "it starts and runs" qa vm start --force --wait timeout=240 || give_up
check "it keeps a word in its memory" guest_says remember-before remembered

check "it is paused" qa vm pause -f id=1
check "and stands still" test -z "$(guest 2 recall)"
check "which its state says" vm_is 1 paused
check "it goes on" qa vm unpause -f id=1
check "as if nothing had been" guest_says recall before

check "it is suspended" qa vm suspend -f id=1
check "nothing of it runs" no_qemu
check "hkd, killed meanwhile, does not miss it" node_kill "$(node_role hkd)"
check "another hkd comes" within 30 node_is running
check "it is still suspended" vm_is 1 suspended
check "it is resumed" within 10 qa vm resume -f id=1
check "and knows what it knew" within 10 guest_says recall before

check "a checkpoint is made of it" qa vm checkpoint -f id=1
first=$(checkpoints)
check "which qa shows" field_is checkpoint "$first"
check "it runs on" guest_says write_home-late written
check "a second one is made" qa vm checkpoint -f id=1
check "the first is not there any more" test ! -e "$first"
check "it writes what it will not have written" guest_says write_home-never written
check "and learns what it will not know" guest_says remember-after remembered
check "one that runs cannot go back" refused 'stop it first' vm restore -f id=1
check "it stops" qa vm stop -f id=1 --wait timeout=120 --force
check "it goes back to its checkpoint" qa vm restore -f id=1 --wait timeout=240 || give_up
check "its memory is what it was" guest_says recall before
check "its home, too" guest_says read_home 'late            '
check "the checkpoint stays" test -d "$(checkpoints)"

hkd=$(node_role hkd)
kill -STOP "$hkd"
qa vm pause -f id=1 >"$NODE_DIR/pause.out" 2>&1 &
order=$!
rig_until 20 field_is command pause
kill -KILL "$hkd"
check "an order given while hkd is stuck is obeyed by the next one" wait "$order"
check "which its state says" within 5 vm_is 1 paused
check "it goes on once more" qa vm unpause -f id=1

mkdir -p "$NODE_DIR/home/.qvd/certs" && cp "$NODE_DIR/cert.pem" "$NODE_DIR/home/.qvd/certs/"
check "an operator is added" qa operator add name=ann role=operator password="${ann#*:}"
check "its console answers on the node" console_answers :
check "and from afar" console_answers "$ann" --node "localhost:$NODE_PORT" --operator ann
check "its screen greets on the node" vnc_greets
check "and from afar" vnc_greets --node "localhost:$NODE_PORT" --operator ann
check "an operator who is blocked loses his console" console_ends_by qa operator edit -f name=ann blocked=yes
check "the audit tells who restored what" grep -q 'vm restore' <(qa audit list)
check "and finds what the operator did" grep -q 'admin vnc' <(qa audit list -f who='operator ann' last=5)

check "it is reset" qa vm reset -f id=1
check "and begins anew" within 30 guest_says forgotten forgotten
check "it stops again" qa vm stop -f id=1 --wait timeout=120 --force
rm -r "$(checkpoints)"
check "a checkpoint that is gone fails the way back" not qa vm restore -f id=1 --wait timeout=60
check "with its reason" field_is reason_code vm.checkpoint_missing
check "without blocking it" field_is blocked false
check "and it starts as ever" qa vm start -f id=1 --wait timeout=240
check "and stops" qa vm stop -f id=1 --wait timeout=120 --force
check "leaving no domain, link or token" test -z "$(ls /run/libvirt/qemu/*.xml 2>/dev/null)$(ip -o link show | grep qsys1)$(find "$NODE_DIR/run/vm" -name '*token*')"
summary
