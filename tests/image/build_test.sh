#!/bin/bash
# The LXDE recipe for real: an archive whose session is used, and a disk that starts. What a package
# that does not exist and a full disk come to. Some minutes; with QVD_TEST_EVERYTHING=1 only.
#   build_test.sh PROGRAMS QVDCLIENT GATEWAY
set -u
here=$(cd "$(dirname "$0")" && pwd)
programs=$1 client=$2 gateway=$3 recipes=$here/../../etc/images

skip() { echo "skipped: $*"; exit 77; }
[ -n "${QVD_TEST_EVERYTHING:-}" ] || skip "minutes of building: with QVD_TEST_EVERYTHING=1 only"
[ "$(id -u)" = 0 ] || skip "only root builds disks"
for tool in mmdebstrap qemu-img mkfs.ext4 qemu-system-x86_64; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done

failed=0
check() {
    if "${@:2}"; then echo "ok      $1"; else echo "FAILED  $1"; failed=1; fi
}
work=$(mktemp -d "${TMPDIR:-/tmp}/qvd-build-XXXXXX")
guest=
finish() {
    [ -z "$guest" ] || kill "$guest" 2>/dev/null
    umount "$work/small" 2>/dev/null
    rm -rf --one-file-system "$work"
}
trap finish EXIT

build() { "$programs/qvd-image-build" "$@" >"$work/out" 2>"$work/err"; }
says() { grep -q "$1" "$work/err"; }
only() { [ "$(ls -A "$1" | tr '\n' ' ')" = "$2 " ]; }

printf 'format: 1\nextends: %s/debian-base.yaml\nname: wrong\npackages: [no-such-package]\n' "$recipes" >"$work/wrong.yaml"
mkdir "$work/made" "$work/small"
build "$work/wrong.yaml" "$work/made/x.tar.zst"
check "a package that does not exist is told as such" test $? = 4
check "with its name and the release" says 'no-such-package in the release bookworm'
check "and nothing is left" test -z "$(ls -A "$work/made")"
if mount -t tmpfs -o size=150m none "$work/small" 2>/dev/null; then
    build "$recipes/debian-minimal.yaml" "$work/small/x.tar.zst"
    check "a full disk ends the build" test $? = 1
    check "and is told as such" says 'became full'
    check "and nothing is left there" test -z "$(ls -A "$work/small")"
fi

build "$recipes/debian-lxde.yaml" "$work/made/lxde.tar.zst"
check "the archive is built" test $? = 0
cat "$work/out"
check "and nothing else is left" only "$work/made" lxde.tar.zst
bash "$here/container_test.sh" "$client" "$gateway" "$work/made/lxde.tar.zst" lxde
status=$?
[ $status = 77 ] || check "its session is started and used" test $status = 0

build "$recipes/debian-lxde.yaml" "$work/made/lxde.qcow2"
check "the disk is built" test $? = 0
cat "$work/out"
printf 'mac=52:54:00:71:76:64\naddress=10.0.2.15/24\n' >"$work/network"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# Without KVM it takes half a minute.
qemu-system-x86_64 -nodefaults -no-user-config -machine pc -accel tcg -cpu max -smp 2 -m 1024 \
    -display none -no-reboot -drive "file=$work/made/lxde.qcow2,if=virtio,format=qcow2,snapshot=on" \
    -netdev "user,id=n,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:3030" -device virtio-net-pci,netdev=n,mac=52:54:00:71:76:64 \
    -fw_cfg "name=opt/org.qvd/network,file=$work/network" \
    -serial file:"$work/console" &
guest=$!
answers() {
    local last=$((SECONDS + 240))
    while [ $SECONDS -lt $last ] && kill -0 "$guest" 2>/dev/null; do
        ! curl -s -m 5 "http://127.0.0.1:$port/vma/ping" | grep -q 1 || return 0
        sleep 1
    done
    return 1
}
check "it starts, and its agent answers" answers
[ $failed = 0 ] || tail -n 20 "$work/err" "$work/console"
exit $failed
