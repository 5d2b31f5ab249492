# shellcheck shell=bash disable=SC2034
# A user at his screen for tests: examples/quickstart/screen.sh, which shows one, and besides what he
# sees no more, clicks and types. The same rules.
#
#   rig_missing                      prints what is not installed, one program a line
#   rig_wait_no_pixels COLOUR SECONDS                 until the screen has none
#   rig_click_pixel COLOUR           clicks where that colour is, which gives an xterm the keyboard
#   rig_type TEXT                    types, and Return
#   rig_client_ends PID SECONDS      until it has ended; its exit status in RIG_STATUS
# shellcheck source=../../../examples/quickstart/screen.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../examples/quickstart/screen.sh"

# What the rig needs, one missing program a line.
rig_missing() {
    local program
    for program in Xvfb openbox xdotool import convert nxproxy xwininfo; do
        command -v "$program" >/dev/null || echo "$program"
    done
}

rig_lacks_pixels() { ! rig_has_pixels "$1" 1 "$RIG_DIR/now.png"; }

rig_wait_no_pixels() {
    rig_until "$2" rig_lacks_pixels "$1" && return
    rig_complain "still $RIG_PIXELS pixels of $1 after $2 s"
    return 1
}

rig_click_pixel() {
    local at
    rig_screenshot "$RIG_DIR/now.png" || return 1
    # The middle one of all, by reading order: inside the area, not at its edge.
    at=$(convert "$RIG_DIR/now.png" -depth 8 txt:- |
        awk -F'[,: ]' -v colour="$(tr a-f A-F <<<"$1")" '
            index($0, colour) { x[n] = $1; y[n++] = $2 } END { if (n) print x[int(n / 2)], y[int(n / 2)] }')
    [ -n "$at" ] || { rig_complain "no pixel of $1 to click"; return 1; }
    # shellcheck disable=SC2086  # two words
    DISPLAY=$RIG_DISPLAY xdotool mousemove $at click 1
}

rig_type() { DISPLAY=$RIG_DISPLAY xdotool type --delay 20 "$1" && DISPLAY=$RIG_DISPLAY xdotool key Return; }

rig_client_ends() {
    if ! rig_until "$2" rig_is_gone "$1"; then
        rig_complain "client $1 still runs after $2 s"
        return 1
    fi
    RIG_STATUS=0
    wait "$1" || RIG_STATUS=$?
}
