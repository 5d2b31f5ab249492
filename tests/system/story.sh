# shellcheck shell=bash
# How a script in a world of its own tells what it checks. Source it inside (after enter_world); the
# node and the screen end with the script.
passed=0
failures=()
# check SENTENCE COMMAND...: a failure shows what the node said last, and a VM's console if it has one.
check() {
    if "${@:2}"; then
        passed=$((passed + 1))
        printf 'ok      %4ss  %s\n' "$SECONDS" "$1"
    else
        failures+=("$1")
        printf 'FAILED  %4ss  %s\n' "$SECONDS" "$1"
        echo "  | $(tail -n 2 "$NODE_DIR/qa.err" 2>/dev/null)"
        log_tail 40 | sed 's/^/  | /'
        tail -n 10 "$NODE_DIR/run/vm/1/console.log" 2>/dev/null | sed 's/^/  console | /'
        return 1
    fi
}
not() { ! "$@"; }
give_up() {
    echo "nothing after this makes sense without it"
    summary
}
summary() {
    echo "$passed passed, ${#failures[@]} failed, $SECONDS s"
    ((${#failures[@]} == 0)) || printf '  failed: %s\n' "${failures[@]}"
    exit $((${#failures[@]} > 0))
}
finish() {
    rig_stop
    node_remove
}
trap finish EXIT
