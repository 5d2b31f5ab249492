#!/bin/bash
# How long a VM takes from the command to its agent's answer and to the first picture of a session,
# beside the same image started by hand, and what nodes take that only wait.
#   start_bench.sh [ROUNDS [HYPERVISOR...]]
# QVD_BIN, QVD_PLUGINS: a release build. QVD_TEST_IMAGE: an image (tests/run makes one). HYPERVISOR:
# lxc-unionfs (overlayfs), lxc-btrfs, or both, which is the default.
# Rounds are interleaved: each starts every kind once. Prints medians.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../system/world.sh"
enter_world "$0" "$@"
rounds=${1:-15}
shift
kinds=${*:-lxc-unionfs lxc-btrfs}

bare=$(mktemp -d /tmp/qvd-bare-XXXXXX)
finish() {
    lxc-stop -P "$bare/lxc" -n bare -k >/dev/null 2>&1
    node_remove
    umount "$bare/btrfs" "$bare/root" 2>/dev/null
    rm -rf --one-file-system "$bare"
}
trap finish EXIT
ms() { echo $(((${EPOCHREALTIME/./} - $1) / 1000)); }
now() { echo "${EPOCHREALTIME/./}"; }
median() { sort -n | awk '{v[NR]=$1} END {if (NR) print (NR % 2) ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2; else print "-"}'; }

# The btrfs of lxc-btrfs, on a loop file.
make_btrfs() {
    truncate -s 4G "$bare/disk" && mkfs.btrfs -q "$bare/disk" && mkdir -p "$bare/btrfs" &&
        mount -o loop "$bare/disk" "$bare/btrfs"
}
node_make
case $kinds in
    *btrfs*) make_btrfs && echo "path.storage.btrfs.root = $bare/btrfs" >>"$NODE_DIR/node.conf" ;;
esac
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
    qa osf add name="$kind" memory=256 >/dev/null
    qa osf propset vm.hypervisor="$kind" -f name="$kind" >/dev/null
    qa di add osf="$kind" path="$QVD_TEST_IMAGE" >/dev/null
    qa vm add name="$kind" user=alice osf="$kind" >/dev/null
    # The first start unpacks.
    begin=$(now)
    qa vm start -f name="$kind" --wait timeout=120 >/dev/null || { cat "$NODE_DIR/qa.err"; log_tail 20; exit 1; }
    echo "$kind: first start of an image, unpacked for it: $(ms "$begin") ms"
    qa vm stop -f name="$kind" --wait timeout=60 >/dev/null
done

# Whatever it says: without the node's token that is a refusal.
agent_answers() { curl -s -o "$bare/said" -m 1 "http://$1:3030/vma/ping" 2>/dev/null; }
until_agent() {
    local last=$((SECONDS + 60))
    until agent_answers "$1"; do [ $SECONDS -lt $last ] || return 1; sleep 0.01; done
}
# The same root by hand: overlayfs, a bridge port, an address.
bare_make() {
    mkdir -p "$bare/base" "$bare/up" "$bare/work" "$bare/root" "$bare/lxc/bare"
    tar -C "$bare/base" --numeric-owner -xf "$QVD_TEST_IMAGE"
    ip link add qvbare type bridge && ip addr add 10.233.7.1/24 dev qvbare && ip link set qvbare up
    cat >"$bare/lxc/bare/config" <<C
lxc.uts.name = bare
lxc.rootfs.path = dir:$bare/root
lxc.net.0.type = veth
lxc.net.0.link = qvbare
lxc.net.0.flags = up
lxc.net.0.ipv4.address = 10.233.7.2/24
lxc.mount.auto = proc:mixed sys:mixed
lxc.init.cmd = /sbin/init
lxc.signal.halt = SIGPWR
lxc.apparmor.profile = unconfined
C
}
bare_start() {
    mount -t overlay overlay -o "lowerdir=$bare/base,upperdir=$bare/up,workdir=$bare/work" "$bare/root" &&
        lxc-start -P "$bare/lxc" -n bare -d
}
bare_stop() {
    lxc-stop -P "$bare/lxc" -n bare -t 10
    umount "$bare/root"
    rm -rf "${bare:?}/up" "${bare:?}/work" && mkdir "$bare/up" "$bare/work"
}
bare_make
note() { times[$1]+="$2"$'\n'; }

rig_start 1280x900 || exit 1
export QVDPASSWORD=wonder-1
RIG_ENV=(QVDPASSWORD=wonder-1)
one_round() {
    local kind begin
    begin=$(now)
    bare_start && until_agent 10.233.7.2 && note "bare lxc-start" "$(ms "$begin")"
    bare_stop
    for kind in $kinds; do
        begin=$(now)
        qa vm start -f name="$kind" >/dev/null
        until_agent "$(vm_field "${id[$kind]}" ip)" && note "$kind: command to agent" "$(ms "$begin")"
        rig_until 30 vm_is "${id[$kind]}" running
        qa vm stop -f name="$kind" --wait timeout=60 >/dev/null
        # Once more, by a login: from the client's start to the desktop's colour.
        begin=$(now)
        rig_client desk "$QVD_BIN/qvdclient" -n -h localhost -p "$NODE_PORT" -u alice \
            -s "${id[$kind]}" --json
        rig_wait_pixels '#2e6e8e' 1000 60 && note "$kind: login to first pixels" "$(ms "$begin")"
        kill -TERM "$RIG_CLIENT_PID" && rig_client_ends "$RIG_CLIENT_PID" 15
        qa vm stop -f name="$kind" --wait timeout=60 >/dev/null
    done
}
for _ in $(seq "$rounds"); do one_round; done
echo "medians of $rounds rounds, milliseconds"
for what in "${!times[@]}"; do
    printf '  %-40s %8s   (%s rounds)\n' "$what" "$(median <<<"${times[$what]%$'\n'}")" \
        "$(grep -c . <<<"${times[$what]}")"
done | sort
