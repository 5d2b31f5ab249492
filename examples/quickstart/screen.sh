# shellcheck shell=bash disable=SC2034
# A user's screen without one: Xvfb with a window manager, qvdclient on it, and its pixels. Source it
# in bash; every function returns 0 if what it is named after happened, and else says on standard
# error what did not. Nothing waits without a bound, and nothing has a fixed number or name.
#
#   rig_start [WxH]                  a screen (default 1024x768); sets RIG_DISPLAY and RIG_DIR
#   rig_client NAME PROGRAM [ARG...] runs `PROGRAM ARG...` (qvdclient) on it; sets RIG_CLIENT_PID;
#                                    output in $RIG_DIR/NAME.out and .err, home in $RIG_DIR/home
#   rig_wait_window SECONDS          until the desktop's window is shown; sets RIG_WINDOW
#   rig_screenshot FILE.png
#   rig_count_pixels FILE.png COLOUR prints how many pixels have exactly that colour, "#rrggbb"
#   rig_wait_pixels COLOUR LEAST SECONDS [FILE.png]   until the screen has that many
#   rig_is_gone PID                  whether it has ended
#   rig_stop                         ends what the rig started and removes RIG_DIR
#
# RIG_KEEP=1 keeps RIG_DIR. RIG_ENV, an array of NAME=VALUE, goes to qvdclient.

RIG_PIDS=()
RIG_ENV=()

rig_complain() { echo "rig: $*" >&2; }

# rig_until SECONDS COMMAND...: tries the command ten times a second.
rig_until() {
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < deadline)) || return 1
        read -rt 0.1 <> <(:) || true
    done
}

rig_start() {
    RIG_DIR=$(mktemp -d "${TMPDIR:-/tmp}/qvd-rig-XXXXXX") || return 1
    mkdir -m 700 "$RIG_DIR/home" "$RIG_DIR/run"
    Xvfb -displayfd 3 -screen 0 "${1:-1024x768}x24" -nolisten tcp \
        3>"$RIG_DIR/display" >"$RIG_DIR/xvfb.log" 2>&1 &
    RIG_PIDS+=($!)
    if ! rig_until 20 test -s "$RIG_DIR/display"; then
        rig_complain "Xvfb does not start: $(tail -n 3 "$RIG_DIR/xvfb.log")"
        return 1
    fi
    RIG_DISPLAY=:$(<"$RIG_DIR/display")
    # Windows appear where there is room, without a dialogue; no menu file is needed.
    HOME=$RIG_DIR/home DISPLAY=$RIG_DISPLAY openbox >"$RIG_DIR/openbox.log" 2>&1 &
    RIG_PIDS+=($!)
    rig_until 20 rig_has_manager || { rig_complain "openbox does not start"; return 1; }
}

rig_has_manager() {
    DISPLAY=$RIG_DISPLAY xprop -root _NET_SUPPORTING_WM_CHECK 2>/dev/null | grep -q 'window id'
}

rig_client() {
    local name=$1
    shift
    # Not by env(1): what RIG_ENV says may be a password, which is no argument of anybody.
    (
        export HOME="$RIG_DIR/home" XDG_RUNTIME_DIR="$RIG_DIR/run" DISPLAY="$RIG_DISPLAY"
        [ ${#RIG_ENV[@]} = 0 ] || export "${RIG_ENV[@]}"
        exec "$@"
    ) >"$RIG_DIR/$name.out" 2>"$RIG_DIR/$name.err" </dev/null &
    RIG_CLIENT_PID=$!
    RIG_PIDS+=("$RIG_CLIENT_PID")
}

# nxagent's windows carry its name as their class.
rig_find_window() {
    RIG_WINDOW=$(DISPLAY=$RIG_DISPLAY xdotool search --onlyvisible --class 'nxagent' 2>/dev/null | head -n 1)
    [ -n "$RIG_WINDOW" ]
}

rig_wait_window() {
    rig_until "$1" rig_find_window && return
    rig_complain "no desktop window after $1 s"
    tail -n 5 "$RIG_DIR"/*.err >&2
    return 1
}

rig_screenshot() { DISPLAY=$RIG_DISPLAY import -silent -window root "$1"; }

rig_count_pixels() {
    convert "$1" -depth 8 -format %c histogram:info:- |
        awk -v colour="$(tr a-f A-F <<<"${2}")" '
            index(toupper($0), colour) { sub(/:.*/, ""); count += $1 } END { print count + 0 }'
}

rig_has_pixels() {
    rig_screenshot "$3" && RIG_PIXELS=$(rig_count_pixels "$3" "$1") && ((RIG_PIXELS >= $2))
}

rig_wait_pixels() {
    local picture=${4:-$RIG_DIR/now.png}
    rig_until "$3" rig_has_pixels "$1" "$2" "$picture" && return
    rig_complain "${RIG_PIXELS:-no} pixels of $1 after $3 s, not $2 (see $picture)"
    return 1
}

rig_is_gone() {
    # A child that has ended stays a zombie until it is waited for.
    [ ! -d "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

rig_stop() {
    local pid at
    # The last one started ends first.
    for ((at = ${#RIG_PIDS[@]} - 1; at >= 0; at--)); do
        pid=${RIG_PIDS[at]}
        kill "$pid" 2>/dev/null || continue
        rig_until 10 rig_is_gone "$pid" || kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null || true
    done
    RIG_PIDS=()
    if [ -n "${RIG_DIR:-}" ] && [ -z "${RIG_KEEP:-}" ]; then rm -rf "$RIG_DIR"; fi
}
