# shellcheck shell=bash
# What can be ordered of a container besides its start and its stop. Source it after node.sh and
# story.sh, with alice's VM (1) running.

# order_is_refused CODE ARGUMENT...: nothing is done, and the answer names why.
order_is_refused() {
    qa "${@:2}" >"$NODE_DIR/qa.out"
    local status=$?
    [ $status = 4 ] && grep -q -- "$1" "$NODE_DIR/qa.out"
}
stands_still() { grep -q FROZEN <(freezer_states) || grep -qx 'frozen 1' <(freezer_states); }
# Of either version of cgroups.
freezer_states() {
    cat /sys/fs/cgroup/{freezer,unified,.}/"$(vm_cgroup 1)"/{freezer.state,cgroup.events} 2>/dev/null
}
orders_reach_a_container() {
    check "alice's VM runs" within 60 vm_is 1 running || return
    check "it is paused" qa vm pause -f id=1
    check "and says so" vm_is 1 paused
    check "its processes stand still" stands_still
    check "paused, it cannot be paused again" order_is_refused 'only one that is running' vm pause -f id=1
    check "it goes on" qa vm unpause -f id=1
    check "and runs" vm_is 1 running
    check "its processes, too" not stands_still
    check "a container is not suspended to disk" order_is_refused 'cannot suspend' vm suspend -f id=1
    check "nor is a checkpoint made of it" order_is_refused 'cannot checkpoint' vm checkpoint -f id=1
    check "so that there is none to go back to" order_is_refused 'stop it first' vm restore -f id=1
    check "all that is in the audit" grep -q 'vm unpause' <(qa audit list last=10)
    check "by its filter, too" grep -q 'vm pause' <(qa audit list -f 'operation=vm pause')
    check "where nothing is found that nobody did" not grep -q . <(qa audit list -q -f 'operation=vm dance')
}
