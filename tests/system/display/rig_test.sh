#!/bin/bash
# qvdclient, nxproxy and nxagent together: a desktop is shown, typed into, left, found again, ended.
#   rig_test.sh QVDCLIENT GATEWAY
# nxagent runs here beside the client; a stand-in for a node leads to it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
client=$1 gateway=$2
. "$here/rig.sh"

missing="$(rig_missing) $(command -v nxagent xterm >/dev/null || echo nxagent or xterm)"
if [ -n "${missing// /}" ]; then
    echo "skipped: not installed: $missing"
    exit 77
fi

failed=0
check() {
    if "${@:2}"; then echo "ok      $1"; else echo "FAILED  $1"; failed=1; fi
}
finish() {
    rig_stop
    [ -n "${agent_dir:-}" ] && rm -rf "$agent_dir"
}
trap finish EXIT

# A display number that is free, with the NX port that belongs to it.
free_display() {
    local number
    for ((number = 200 + RANDOM % 500; number < 1000; number++)); do
        [ -e "/tmp/.X11-unix/X$number" ] && continue
        grep -qi ":$(printf %04x $((4000 + number))) " /proc/net/tcp /proc/net/tcp6 && continue
        echo "$number"
        return
    done
}

start_agent() {
    agent_dir=$(mktemp -d /tmp/qvd-agent-XXXXXX)
    agent=$(free_display)
    echo "nx/nx,link=lan,client=linux,geometry=800x600,keyboard=pc105/us:$agent" >"$agent_dir/options"
    HOME=$agent_dir NX_CLIENT=/bin/true nxagent ":$agent" -ac -nolisten tcp -name QVD \
        -display "nx/nx,options=$agent_dir/options:$agent" >"$agent_dir/log" 2>&1 &
    agent_pid=$!
    RIG_PIDS+=("$agent_pid")
    rig_until 20 grep -q 'Waiting for connection from' "$agent_dir/log"
}

start_application() {
    DISPLAY=:$agent HOME=$agent_dir PS1='$ ' xterm -geometry 60x20+40+40 -bg '#a0306a' -fg white \
        -e /bin/sh >"$agent_dir/xterm.log" 2>&1 &
    application=$!
    RIG_PIDS+=("$application")
}

connect() {
    rig_client "$1" "$client" -h localhost -p "$(<"$agent_dir/port")" -u bob -g 800x600 --json "${@:2}"
}

rig_start 1280x900 || exit 1
check "nxagent waits for its client" start_agent
"$gateway" "$agent_dir/port" "$agent_dir/certificate.pem" 127.0.0.1 $((4000 + agent)) >"$agent_dir/gateway.log" &
RIG_PIDS+=($!)
check "the gateway listens" rig_until 10 test -s "$agent_dir/port"
mkdir -p "$RIG_DIR/home/.qvd/certs"
cp "$agent_dir/certificate.pem" "$RIG_DIR/home/.qvd/certs/"
RIG_ENV=(QVDPASSWORD=secret)

connect first
first=$RIG_CLIENT_PID
check "the desktop's window appears" rig_wait_window 20
check "it has the size that was asked for" grep -q 'Width: 800' <(DISPLAY=$RIG_DISPLAY xwininfo -id "$RIG_WINDOW")
start_application
check "an application's colour is on the screen" rig_wait_pixels '#a0306a' 20000 20
check "it can be clicked" rig_click_pixel '#a0306a'
# The terminal changes its own colour: what is typed arrives, and what it does comes back.
rig_type "printf '\\033]11;#20c080\\007'"
check "what is typed into it shows" rig_wait_pixels '#20c080' 20000 20
check "the password is not in the process list" bash -c "! grep -qa secret /proc/$first/cmdline"
check "no other user can reach the session's socket" test "$(stat -c %a "$RIG_DIR"/run/qvdclient-*)" = 700

kill -INT "$first"
check "Ctrl-C ends the client" rig_client_ends "$first" 10
check "with exit status 0" test "${RIG_STATUS:-none}" = 0
check "and says why" grep -q '"event":"ended","reason":"stopped"' "$RIG_DIR/first.out"
check "nothing of it is left on the screen" rig_wait_no_pixels '#20c080' 10
check "nxproxy has ended" rig_is_gone "$(sed -n 's/.*"nxproxy_pid":\([0-9]*\).*/\1/p' "$RIG_DIR/first.out")"
check "the session is suspended, not over" rig_until 20 grep -q 'Session suspended' "$agent_dir/log"

kill -HUP "$agent_pid"
check "the agent waits again" rig_until 20 bash -c \
    "[ \$(grep -c 'Waiting for connection from' $agent_dir/log) -ge 2 ]"
connect second -x nx/nx,cache=4096,data=0:0
second=$RIG_CLIENT_PID
check "the same application is found again" rig_wait_pixels '#20c080' 20000 30
check "it was never restarted" kill -0 "$application"

kill -TERM "$agent_pid"
check "the server's end ends the client" rig_client_ends "$second" 20
check "with exit status 0 too" test "${RIG_STATUS:-none}" = 0
check "no folder is left behind" test -z "$(ls "$RIG_DIR/run")"

RIG_ENV+=(DISPLAY=:987)
connect third
check "a display that is not there is told before the login" rig_client_ends "$RIG_CLIENT_PID" 10
check "by exit status 8" test "${RIG_STATUS:-none}" = 8
[ "$failed" = 0 ] || { echo "--- agent"; tail -n 20 "$agent_dir/log"; echo "--- clients"; cat "$RIG_DIR"/*.out "$RIG_DIR"/*.err; }
exit "$failed"
