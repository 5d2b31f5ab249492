#!/bin/bash
# What lies on a node's storage, who needs it, and what is removed: a whole node with containers.
#   storage_test.sh [btrfs]
# QVD_BIN, QVD_PLUGINS: the built programs and plugins. RIG_KEEP=1 keeps the folders.
set -u
here=$(cd "$(dirname "$0")" && pwd)
kind=${1:-unionfs}

# A container that does nothing, and whose agent never answers: its VM is starting all the while.
make_image() {
    local root
    root=$(mktemp -d) || return 1
    mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,tmp,run,home,var} &&
        cp "$(command -v busybox)" "$root/bin/busybox" &&
        for name in sh sleep; do ln -s busybox "$root/bin/$name"; done &&
        printf '%s\n' '#!/bin/sh' "trap 'exit 0' TERM INT HUP USR1 USR2 PWR" \
            'while :; do sleep 3600 & wait $!; done' >"$root/sbin/init" &&
        chmod 755 "$root/sbin/init" && tar -C "$root" -czf "$1" . && rm -rf "$root"
}
if [ -z "${QVD_WORLD:-}" ]; then
    command -v busybox >/dev/null || { echo "skipped: not installed: busybox"; exit 77; }
    QVD_TEST_IMAGE=$(mktemp -d)/tiny.tar.gz
    export QVD_TEST_IMAGE
    trap 'rm -rf "${QVD_TEST_IMAGE%/*}"' EXIT
    make_image "$QVD_TEST_IMAGE" || { echo "skipped: no image can be made"; exit 77; }
fi
. "$here/world.sh"
enter_world "$0" "$@"
. "$here/story.sh"

# ---- the node's storage ----------------------------------------------------------------------

btrfs_storage() {
    mkdir -p "$NODE_DIR/storage" && truncate -s 3G "$NODE_DIR/disk" &&
        mkfs.btrfs -q "$NODE_DIR/disk" && mount -o loop "$NODE_DIR/disk" "$NODE_DIR/storage" &&
        sed -i 's/^vm.hypervisor = .*/vm.hypervisor = lxc-btrfs/' "$NODE_DIR/node.conf"
}
node_make || skip "no folder for a node can be made"
printf '%s\n' 'internal.hkd.vm.timeout.on_state.stopping_1 = 2' \
    'internal.hkd.vm.timeout.on_state.stopping_2 = 5' >>"$NODE_DIR/node.conf"
storage=$NODE_DIR/storage
if [ "$kind" = btrfs ]; then
    command -v mkfs.btrfs >/dev/null || skip "not installed: mkfs.btrfs"
    btrfs_storage 2>/dev/null || skip "this machine mounts no btrfs from a file"
    images=$storage/btrfs/images changes=$storage/btrfs/vms overlay=1-1-btrfs
else
    images=$storage/basefs changes=$storage/overlayfs overlay=1-1-overlayfs
fi

# Items of `qa storage list --json`, one a line.
items() { qa storage list --json | sed 's/},{/}\n{/g'; }
item_is() { items | grep -F "\"name\":\"$1\"" | grep -qF "$2"; }
gc() { qa storage gc "$@" | tail -n 1; }
gc_says() { local words=$1; shift; gc "$@" >"$NODE_DIR/gc.out"; grep -qF -- "$words" "$NODE_DIR/gc.out"; }
ends_with() { local status=$1; shift; "$@" >"$NODE_DIR/said"; [ $? = "$status" ]; }

# As an operator, by the port that clients use.
from_afar() {
    local who=$1
    shift
    HOME=$NODE_DIR/home QVDPASSWORD=afar-3 qa "$@" --node "localhost:$NODE_PORT" --operator "$who"
}
sees_from_afar() { from_afar "$1" storage list --json | grep -qF "\"name\":\"$2\""; }
may_not_collect() {
    from_afar "$1" storage gc age=0 --force
    [ $? = 4 ] && grep -q 'needs the role administrator' "$NODE_DIR/qa.err"
}
# What `qa di del --purge` asks its own node for.
asks_for_copies() { # asks_for_copies STATUS WHO DI
    [ "$(fetch "$2:afar-3" "/qvd/admin/v1/storage/collect?di=$3" --http1.1 \
        -H 'Connection: Upgrade' -H 'Upgrade: QVD-Admin/1.0')" = "$1" ]
}

any_discarded() { compgen -G "$images/deleteme-*" >/dev/null; }

node_start
check "a node starts" within 40 node_is unconfigured || give_up
check "its certificate is set" qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem"
check "it runs" within 30 log_has event=node.running || give_up
check "VMs keep their changes" qa config set vm.overlay.persistent=1
check "an OSF with homes is added" qa osf add name=desk memory=128 user_storage_size=16
check "an image is added" qa di add osf=desk path="$QVD_TEST_IMAGE" || give_up
check "bob is added" qa user add login=bob password=builder-2
check "his VM is added" qa vm add name=one user=bob osf=desk

# ---- in use ----------------------------------------------------------------------------------

check "it starts" qa vm start --force
check "its image is unpacked, and it has what it changes" within 30 item_is "$overlay" '"used_by":"VM 1 (one)"' || give_up
check "the image is in use" item_is 1-tiny '"used_by":"image 1 of 1 VM, in use"'
check "its home is its own" item_is 1-fs '"used_by":"VM 1 (one)"'
check "an image that a VM runs is not deleted" ends_with 4 qa di del --purge --force
check "its copy stays" test -x "$images/1-tiny/sbin/init"
check "nothing is removed of what is needed" gc_says '0 things removed' age=0 --force
check "not for want of room, either" qa config set hkd.storage.collect.space=900TiB
check "not while the VM is there" gc_says '0 things removed' age=0 --force
check "what room is wanted is the default again" qa config del hkd.storage.collect.space --force
check "and the image is there" test -x "$images/1-tiny/sbin/init"

# ---- what nobody needs -----------------------------------------------------------------------

mkdir -p "$images/deleteme-1-tiny-5-1/etc" "$changes/1-99-${overlay##*-}/etc" "$storage/homefs/99-fs"
head -c 3000000 /dev/urandom >"$changes/1-99-${overlay##*-}/etc/file"
echo half >"$storage/images/.incoming-0123456789abcdef"
echo old >"$storage/images/77-old.tar.gz"
touch -d '3 days ago' "$storage/images/.incoming-0123456789abcdef" "$storage/images/77-old.tar.gz"
touch "$storage/images/.incoming-fedcba9876543210"
check "it is listed as nobody's" item_is "1-99-${overlay##*-}" '"used_by":"nobody: VM 99 is deleted"'
check "of nothing else" item_is 99-fs '"removal":"stays"'
check "who is not asked decides nothing" ends_with 2 qa storage gc age=0
check "an age that is none is refused" ends_with 2 qa storage gc age=soon --force
check "young things stay" gc_says '0 things removed' --force
check "one may try first" gc_says '3 things would be removed' age=0 --dry-run
check "then nothing is gone" test -d "$changes/1-99-${overlay##*-}"
mkdir -p "$NODE_DIR/home/.qvd/certs" && cp "$NODE_DIR/cert.pem" "$NODE_DIR/home/.qvd/certs/"
check "an administrator is added" qa operator add name=ada role=administrator password=afar-3
check "and an observer" qa operator add name=olga role=observer password=afar-3
check "the observer sees from afar what lies there" sees_from_afar olga "1-99-${overlay##*-}"
check "and removes nothing" may_not_collect olga
check "the administrator may try from afar" from_afar ada storage gc age=0 --dry-run
check "then nothing is gone, either" test -d "$changes/1-99-${overlay##*-}"
check "it goes when it is told to" gc_says '3 things removed' age=0 --force
[ "$kind" = btrfs ] || check "and what that freed is told" grep -qF '2.9 MiB freed' "$NODE_DIR/gc.out"
check "the overlay of a VM that is none" within 10 test ! -e "$changes/1-99-${overlay##*-}"
check "what was left to be removed" within 10 test ! -e "$images/deleteme-1-tiny-5-1"
check "a copy that broke off long ago" test ! -e "$storage/images/.incoming-0123456789abcdef"
check "and none that may go on" test -e "$storage/images/.incoming-fedcba9876543210"
check "each removal is one line of the log" test "$(grep -c 'event=storage.removed' "$NODE_LOG")" = 3
check "homes stay" test -d "$storage/homefs/99-fs"
check "and files of images" test -f "$storage/images/77-old.tar.gz"

# ---- a VM, then its image, deleted -----------------------------------------------------------

check "the VM is stopped" qa vm stop --force
check "it stops" within 40 vm_is 1 stopped || check "or fails" vm_is 1 failed
check "its changes stay" test -d "$changes/$overlay"
check "it is deleted" qa vm del --force
check "then its changes go" gc_says 'removed' age=0 --force
check "they are gone" test ! -e "$changes/$overlay"
check "its home stays" test -d "$storage/homefs/1-fs"
check "and the image" test -d "$images/1-tiny"
check "the image is deleted with its files" qa di del --purge --force
check "its file is gone" test ! -e "$storage/images/1-tiny.tar.gz"
check "and what was unpacked of it, at once" test ! -e "$images/1-tiny"
check "to the last byte" within 10 not any_discarded

# ---- from afar -------------------------------------------------------------------------------

check "another image is added" qa di add osf=desk path="$QVD_TEST_IMAGE"
mkdir -p "$changes/1-96-${overlay##*-}"
check "what nobody needs goes when the administrator says so from afar" from_afar ada storage gc age=0 --force
check "it is gone" within 10 test ! -e "$changes/1-96-${overlay##*-}"
mkdir -p "$images/1-tiny"
check "no observer has copies of a deleted image removed" asks_for_copies 403 olga 1
check "they stay" test -d "$images/1-tiny"
check "the administrator has" asks_for_copies 200 ada 1
check "they are gone at once" test ! -e "$images/1-tiny"

# ---- by itself -------------------------------------------------------------------------------

mkdir -p "$changes/2-98-${overlay##*-}"
check "the node collects each second" qa config set hkd.storage.collect.interval=1 hkd.storage.collect.age=2
check "what has not been needed for two goes by itself" within 20 test ! -e "$changes/2-98-${overlay##*-}"
check "what is needed stays" test -f "$storage/images/2-tiny.tar.gz"
summary
