# shellcheck shell=bash disable=SC2154
# The stories in which something is killed under a session: what must live on, and who comes instead.
# Of system_test.sh, which has the rest.

ours=()       # processes that the test killed

# kills WHAT PID
kills() {
    ours+=("$2")
    check "$1 is there to be killed" test -n "$2" && kill -KILL "$2"
}

the_vms_node_dies() {
    with_session || return
    local hkd init
    hkd=$(node_role hkd) init=$(vm_init 1)
    kills hkd "$hkd" || return
    check "hkd killed: the session lives on" lives '#20a0a0'
    check "another hkd comes" within 20 node_role_is_new hkd "$hkd"
    check "the container is the same" test "$(vm_init 1)" = "$init"
    check "and running" within 20 vm_is 1 running
    check "the new hkd adopted it" bash -c "sed -n '/pid=$hkd: killed/,\$p' '$NODE_LOG' | grep -q 'vm=1\b'"
    check "the session lives on after the adoption" lives '#a0a020'
}

the_broker_dies() {
    with_session || return
    local broker
    broker=$(node_role broker)
    kills broker "$broker" || return
    check "broker killed: the session lives on" lives '#7030a0'
    check "logins work again within seconds" within 5 login_works "$alice"
    check "the new broker knows the old session" vm_session_is 1 connected
    check "a take-over by the new broker works" takes_over_after_broker
}
takes_over_after_broker() {
    local before=$session_client
    shows "broker$SECONDS" && rig_client_ends "$before" 60 && rig_wait_pixels "$colour" 30000 60 || return 1
    rig_click_pixel "$colour"
    lives '#40b060'
}

a_worker_dies() {
    with_session || return
    local worker
    within 10 has_free_worker
    worker=$(node_free_worker)
    kills "the l7r process without sessions" "$worker" || return
    check "the session, in the other one, lives on" lives '#b04090'
    check "logins work again within seconds" within 5 login_works "$bob"
    check "there are two again" within 10 has_workers 2
}

the_worker_with_her_session_dies() {
    with_session || return
    local worker before=$session_client
    within 10 has_busy_worker
    worker=$(node_busy_worker)
    kills "the l7r process with her session" "$worker" || return
    check "her client ends" rig_client_ends "$before" 60
    check "the database knows that she is gone" within 20 vm_session_is 1 disconnected
    check "her session is suspended, not lost" within 25 vm_x_state_is 1 suspended
    check "she finds the same application again" shows "survivor$SECONDS" || return
    rig_click_pixel "$colour"
    check "and works on" lives '#9060c0'
    check "which the database knows" within 10 vm_session_is 1 connected
}
has_busy_worker() { [ -n "$(node_busy_worker)" ]; }
has_free_worker() { [ -n "$(node_free_worker)" ]; }
has_workers() { [ "$(node_role l7r | wc -l)" = "$1" ]; }

the_database_dies() {
    with_session || return
    local postmaster
    postmaster=$(head -n 1 "$NODE_DIR/memory/database/postmaster.pid")
    kills "the database server" "$postmaster" || return
    check "database killed: the session lives on" lives '#3090d0'
    check "logins work again" within 20 login_works "$alice"
    check "the VMs are still known to run" within 20 vm_is 1 running
    check "the session outlived the database" lives '#d09030'
}

the_agent_dies() {
    with_session || return
    local agent
    agent=$(in_vm 1 pgrep -o -x qvd-vma)
    check "the agent in the VM is killed" in_vm 1 kill -KILL "${agent:-none}" || return
    check "agent killed: the session lives on" lives '#508020'
    check "another agent comes" within 20 agent_is_new "$agent"
    check "which knows the session" within 20 vm_x_state_is 1 connected
    check "the VM is still running" vm_is 1 running
}
agent_is_new() { [ -n "$(in_vm 1 pgrep -o -x qvd-vma)" ] && [ "$(in_vm 1 pgrep -o -x qvd-vma)" != "$1" ]; }

the_supervisor_dies() {
    with_session || return
    local init
    init=$(vm_init 1)
    kills "the supervisor" "$NODE_PID" || return
    wait "$NODE_PID" 2>/dev/null
    check "supervisor killed: the session lives on" lives '#604020'
    node_start
    check "a new node starts beside it" within 40 node_is running
    check "logins work again" within 15 login_works "$alice"
    check "the container is the same" test "$(vm_init 1)" = "$init"
    check "and adopted" within 20 vm_is 1 running
    check "the session lives on under the new node" lives '#206040'
    check "which knows of it" within 20 vm_session_is 1 connected
    check "a take-over under the new node works" takes_over_after_broker
    check "bob can log in to the adopted VM's neighbour" within 20 vm_is 2 running
}

the_node_is_stopped_and_started() {
    with_session || return
    local init before=$session_client
    init=$(vm_init 1)
    check "a plain stop of the node succeeds" qvd_node stop
    check "the node has ended" within 20 rig_is_gone "$NODE_PID"
    check "her client, too" rig_client_ends "$before" 60
    check "her VM runs on" kill -0 "$init"
    node_start
    check "the node is started" within 40 node_is running
    check "it has taken her VM back" within 20 vm_is 1 running
    check "the same one" test "$(vm_init 1)" = "$init"
    check "she finds the same application again" shows "restart$SECONDS" || return
    rig_click_pixel "$colour"
    check "and works on" lives '#a06040'
}

no_other_died() {
    local line pid good=0
    while read -r line; do
        pid=$(sed 's/.* pid=\([0-9]*\):.*/\1/' <<<"$line")
        [[ " ${ours[*]:-} " == *" $pid "* ]] || { echo "  $line"; good=1; }
    done < <(grep -h 'event=role.died' "$NODE_LOG"*)
    return $good
}
