#!/bin/bash
# An image as a container, with plain LXC and no node: it boots, its agent answers, a desktop is
# shown and used, and it ends at once however it is told to.
#   container_test.sh QVDCLIENT GATEWAY [IMAGE [DESKTOP]]
# IMAGE, or QVD_TEST_IMAGE, is an archive that qvd-image-build made of etc/images/debian-DESKTOP.yaml;
# DESKTOP is minimal unless it is told.
set -u
here=$(cd "$(dirname "$0")" && pwd)
client=$1 gateway=$2 image=${3:-${QVD_TEST_IMAGE:-}} desktop=${4:-minimal}
. "$here/../system/display/rig.sh"

skip() { echo "skipped: $*"; exit 77; }
[ -n "$image" ] || skip "QVD_TEST_IMAGE names no image (qvd-image-build makes one)"
[ "$(id -u)" = 0 ] || skip "only root can start containers here"
command -v lxc-start >/dev/null || skip "lxc is not installed"
[ -z "$(rig_missing)" ] || skip "not installed: $(rig_missing)"

failed=0
check() {
    if "${@:2}"; then echo "ok      $1"; else echo "FAILED  $1"; failed=1; fi
}
# What nothing after it makes sense without.
must() { check "$@"; [ "$failed" = 0 ] || show_and_exit; }
show_and_exit() {
    tail -n 20 "$work/log" "$work/console" "$work"/root/var/log/qvd* "${RIG_DIR:-/nonexistent}"/*.{err,out} 2>/dev/null
    exit 1
}
number=$((RANDOM % 200 + 20))
bridge=qvi$$
net=10.231.$number
address=$net.2
name=qvd-image-$$
work=$(mktemp -d "${TMPDIR:-/tmp}/qvd-container-XXXXXX")

finish() {
    rig_stop
    lxc-stop -P "$work/lxc" -n "$name" -k >/dev/null 2>&1
    ip link del "$bridge" 2>/dev/null
    rm -rf --one-file-system "$work"
}
trap finish EXIT

mkdir -p "$work/root" "$work/lxc/$name"
tar -C "$work/root" --numeric-owner -xf "$image" || exit 1
ip link add "$bridge" type bridge && ip addr add "$net.1/24" dev "$bridge" &&
    ip link set "$bridge" up || skip "no bridge can be made"
cat >"$work/lxc/$name/config" <<C
lxc.uts.name = desk
lxc.rootfs.path = dir:$work/root
lxc.net.0.type = veth
lxc.net.0.link = $bridge
lxc.net.0.flags = up
lxc.net.0.ipv4.address = $address/24
lxc.mount.auto = proc:mixed sys:mixed
lxc.tty.max = 1
lxc.pty.max = 1024
lxc.init.cmd = /sbin/init
lxc.signal.halt = SIGPWR
lxc.apparmor.profile = unconfined
lxc.cap.drop = sys_module mac_admin mac_override sys_time
C

call() { curl -s -m 5 "http://$address:3030/vma/$1"; }
start() { lxc-start -P "$work/lxc" -n "$name" -d -l INFO -o "$work/log" -L "$work/console"; }
in_vm() { lxc-attach -P "$work/lxc" -n "$name" --clear-env -- "$@"; }
state_is() { [ "$(lxc-info -P "$work/lxc" -n "$name" -s -H)" = "$1" ]; }
answers() { call ping | grep -q 1; }
x_state_is() { [ "$(call x_state | tr -d '"\r\n')" = "$1" ]; }
vma_pid() { in_vm pgrep -x qvd-vma | head -n 1; }
restarted() { local now; now=$(vma_pid) && [ -n "$now" ] && [ "$now" != "$1" ]; }

runs_in_vm() { in_vm pgrep -f -u ann "$1" >/dev/null; }
# As the session's processes are: with its display, its user, its language.
in_session() {
    local like
    like=$(in_vm pgrep -o -u ann openbox) && in_vm sh -c "(set -a; eval \"\$(tr '\\0' '\\n' </proc/$like/environ |
        grep -E '^(DISPLAY|XAUTHORITY|HOME|LANG|USER)=')\"; exec setpriv --reuid ann --regid ann --init-groups $1) \
        >/dev/null 2>&1 &"
}
desktop_minimal() {
    check "the window manager's background is shown" rig_wait_pixels '#2e6e8e' 100000 30
    check "and the terminal" rig_wait_pixels '#1c2b3a' 50000 30
    check "the terminal can be clicked" rig_click_pixel '#1c2b3a'
    rig_type "id -un >/tmp/who; locale 2>&1 | head -n 1 >>/tmp/who; printf '\\033]11;#20c080\\007'"
    check "what is typed into it shows" rig_wait_pixels '#20c080' 50000 20 "$work/desktop.png"
}
# A terminal of its own: the desktop begins without one.
desktop_lxde() {
    check "the panel runs" rig_until 30 runs_in_vm lxpanel
    check "the file manager shows the desktop" rig_until 30 runs_in_vm 'pcmanfm --desktop'
    check "in its colour" rig_wait_pixels '#2e6e8e' 100000 30
    check "the window manager runs" rig_until 30 runs_in_vm openbox
    check "a terminal can be opened" in_session "xterm -bg '#1c2b3a' -geometry 80x20+150+150"
    check "and is shown" rig_wait_pixels '#1c2b3a' 50000 30
    check "the terminal can be clicked" rig_click_pixel '#1c2b3a'
    rig_type "id -un >/tmp/who; locale 2>&1 | head -n 1 >>/tmp/who; printf '\\033]11;#20c080\\007'"
    check "what is typed into it shows" rig_wait_pixels '#20c080' 50000 20 "$work/desktop.png"
}

must "the container starts" start
must "the agent answers" rig_until 20 answers
check "init is the image's own" test "$(in_vm readlink /proc/1/exe)" = /usr/sbin/init
check "the loopback is up" in_vm ping -q -c 1 -W 2 127.0.0.1
check "the locale is there" grep -q en_US.utf8 <(in_vm locale -a)
before=$(vma_pid)
in_vm kill -KILL "$before"
must "an agent that died is started again" rig_until 20 restarted "$before"
must "and answers" rig_until 20 answers
check "nothing is left unburied" test -z "$(in_vm ps -eo stat | grep '^Z')"

rig_start 1280x900 || exit 1
call "x_start?qvd.vm.user.name=ann&qvd.client.os=linux&qvd.client.link=lan&qvd.client.geometry=1024x700&qvd.client.keyboard=pc105%2Fus" >"$work/x_start"
check "a session starts" grep -q starting "$work/x_start"
must "and listens" rig_until 30 x_state_is listening
"$gateway" "$work/port" "$work/certificate.pem" "$address" 4100 >"$work/gateway.log" &
RIG_PIDS+=($!)
rig_until 10 test -s "$work/port"
RIG_ENV=(QVDPASSWORD=secret)
rig_client desk "$client" -n -h localhost -p "$(<"$work/port")" -u ann --json
session_client=$RIG_CLIENT_PID
must "the desktop's window appears" rig_wait_window 30
desktop_$desktop
check "the session is the user's, in the image's language" \
    test "$(tr '\n' ' ' <"$work/root/tmp/who")" = "ann LANG=en_US.UTF-8 "
check "the keyboard is the client's" grep -q 'keyboard=pc105/us' <(in_vm cat /run/qvd/nxagent.conf)
check "no keyboard compiler complained" test -z "$(in_vm sh -c 'cat /var/log/qvd*' | grep -i 'could not load keymap\|Couldn.t open compiled keymap')"
[ -z "${RIG_PICTURE:-}" ] || cp "$work/desktop.png" "$RIG_PICTURE"
kill -TERM "$session_client"
check "the client ends" rig_client_ends "$session_client" 15
check "and leaves a suspended session" rig_until 30 x_state_is suspended

seconds_until_stopped() {
    local begin=$EPOCHREALTIME
    rig_until 15 state_is STOPPED || return 1
    took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
}
lxc-stop -P "$work/lxc" -n "$name" -t 15 &
check "it ends when the node says so (SIGPWR)" seconds_until_stopped
echo "        after $took ms, with a session"
check "within 5 s" test "$took" -lt 5000

# Its files stay: the stale lock of the display must not hinder the next session.
for way in "the agent's poweroff" "init 0" poweroff; do
    check "it starts once more" start
    check "the agent answers" rig_until 20 answers
    case $way in
        the*) call poweroff >/dev/null & ;;
        init*) in_vm init 0 ;;
        *) in_vm poweroff ;;
    esac
    check "it ends by $way" seconds_until_stopped
    echo "        after $took ms"
done
[ "$failed" = 0 ] || show_and_exit
