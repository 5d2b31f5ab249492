#!/bin/bash
# How long a VM takes from the command to its agent's answer and to the first picture of a session,
# beside the same image started by hand.
#   start_bench.sh [ROUNDS [HYPERVISOR...]]
# QVD_BIN, QVD_PLUGINS: an optimised build. QVD_TEST_IMAGE, QVD_TEST_DISK: an image and a disk
# (tests/run makes both). HYPERVISOR: lxc-unionfs (overlayfs), lxc-btrfs, kvm (emulated where the
# machine has no KVM, which takes a minute a round); without one, both kinds of containers.
# Rounds are interleaved: each starts every kind once. Prints medians.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../system/world.sh"
. "$here/bare.sh"
. "$here/../system/libvirt.sh"
enter_world "$0" "$@"
rounds=${1:-15}
shift
kinds=${*:-lxc-unionfs lxc-btrfs}
qa() { timeout 600 "$QVD_BIN/qa" -c "$NODE_DIR/node.conf" "$@" </dev/null 2>"$NODE_DIR/qa.err"; }

finish() {
    node_remove
    bare_remove
}
ms() { echo $(((${EPOCHREALTIME/./} - $1) / 1000)); }
now() { echo "${EPOCHREALTIME/./}"; }
median() { sort -n | awk '{v[NR]=$1} END {if (NR) print (NR % 2) ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2; else print "-"}'; }
give_up() { cat "$NODE_DIR/qa.err"; log_tail 20; exit 1; }
includes() { [[ " $kinds " = *" $1 "* ]]; }

# ---- a node that runs all kinds ---------------------------------------------------------------

make_btrfs() {
    truncate -s 4G "$BARE/disk" && mkfs.btrfs -q "$BARE/disk" && mkdir -p "$BARE/btrfs" &&
        mount -o loop "$BARE/disk" "$BARE/btrfs" &&
        echo "path.storage.btrfs.root = $BARE/btrfs" >>"$NODE_DIR/node.conf"
}
start_libvirt() {
    libvirt_folders || skip "this machine cannot mount a tmpfs"
    libvirt_start || skip "libvirtd does not start here"
    printf '%s\n' 'internal.vm.kvm.name.prefix = bench-' "path.kvm.state = $NODE_DIR/kvm" \
        'vm.kvm.cpus = 1' >>"$NODE_DIR/node.conf"
}
image_for() { case $1 in kvm) echo "$QVD_TEST_DISK" ;; *) echo "$QVD_TEST_IMAGE" ;; esac; }

bare_folder && node_make || exit 1
trap finish EXIT
! includes lxc-btrfs || make_btrfs || exit 1
! includes kvm || start_libvirt
node_start
rig_until 60 node_is unconfigured || exit 1
qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem"
rig_until 30 node_is running || exit 1
qa user add login=alice password=wonder-1 >/dev/null

declare -A id times
number=0
for kind in $kinds; do
    number=$((number + 1))
    id[$kind]=$number
    qa osf add name="$kind" memory=512 >/dev/null
    qa osf propset vm.hypervisor="$kind" -f name="$kind" >/dev/null
    qa di add osf="$kind" path="$(image_for "$kind")" >/dev/null || give_up
    qa vm add name="$kind" user=alice osf="$kind" >/dev/null
    # The first start unpacks.
    begin=$(now)
    qa vm start -f name="$kind" --wait timeout=300 >/dev/null || give_up
    echo "$kind: first start of an image, unpacked for it: $(ms "$begin") ms"
    [ "$kind" != kvm ] || bare_make kvm "bench-$number" || exit 1
    qa vm stop -f name="$kind" --wait timeout=120 >/dev/null
done
case $kinds in *lxc*) bare_make lxc ;; esac

# ---- rounds -----------------------------------------------------------------------------------

# Whatever it says: without the node's token that is a refusal.
agent_answers() { curl -s -o "$BARE/said" -m 1 "http://$1:3030/vma/ping" 2>/dev/null; }
until_agent() {
    local last=$((SECONDS + 300))
    until agent_answers "$1"; do [ $SECONDS -lt $last ] || return 1; sleep 0.01; done
}
note() { times[$1]+="$2"$'\n'; }

bare_round() { # bare_round KIND TOOL
    local begin
    begin=$(now)
    bare_start "$1" && until_agent "$(bare_address "$1")" && note "bare $2" "$(ms "$begin")"
    bare_stop "$1"
}
start_round() { # start_round KIND
    local begin
    begin=$(now)
    qa vm start -f name="$1" >/dev/null
    until_agent "$(vm_field "${id[$1]}" ip)" && note "$1: command to agent" "$(ms "$begin")"
    rig_until 30 vm_is "${id[$1]}" running
    qa vm stop -f name="$1" --wait timeout=120 >/dev/null
}
# From the client's start to the desktop's colour.
login_round() { # login_round KIND
    local begin
    begin=$(now)
    rig_client desk "$QVD_BIN/qvdclient" -n -h localhost -p "$NODE_PORT" -u alice -s "${id[$1]}" --json
    rig_wait_pixels '#2e6e8e' 1000 300 && note "$1: login to first pixels" "$(ms "$begin")"
    kill -TERM "$RIG_CLIENT_PID" && rig_client_ends "$RIG_CLIENT_PID" 15
    qa vm stop -f name="$1" --wait timeout=120 >/dev/null
}
one_round() {
    local kind
    ! [[ $kinds = *lxc* ]] || bare_round lxc lxc-start
    ! includes kvm || bare_round kvm "virsh create"
    for kind in $kinds; do
        start_round "$kind"
        login_round "$kind"
    done
}

rig_start 1280x900 || exit 1
export QVDPASSWORD=wonder-1
RIG_ENV=(QVDPASSWORD=wonder-1)
for _ in $(seq "$rounds"); do one_round; done
echo "medians of $rounds rounds, milliseconds"
for what in "${!times[@]}"; do
    printf '  %-40s %8s   (%s rounds)\n' "$what" "$(median <<<"${times[$what]%$'\n'}")" \
        "$(grep -c . <<<"${times[$what]}")"
done | sort
