#!/bin/bash
# The whole product, as its people meet it: a node that begins with nothing, administrators, users
# at their screens, and everything dying under them.
#   system_test.sh
# QVD_BIN, QVD_PLUGINS: the built programs and plugins. QVD_TEST_IMAGE: an archive that
# qvd-image-build made of etc/images/debian-minimal.yaml. RIG_KEEP=1 keeps the folders.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/world.sh"
. "$here/deaths.sh"
. "$here/operators.sh"
. "$here/orders.sh"

enter_world "$0" "$@"
. "$here/story.sh"

alice=alice:wonder-1
bob=bob:builder-2
# The terminal's background: at first as the image has it, then as was typed last.
colour='#1c2b3a'
desktop='#2e6e8e'

# ---- what users do ---------------------------------------------------------------------------

# shows NAME: alice's desktop comes up on the screen, in a client of that name; sets session_client.
shows() {
    rig_client "$1" "$QVD_BIN/qvdclient" -h localhost -p "$NODE_PORT" -u alice -o --json
    session_client=$RIG_CLIENT_PID
    rig_wait_pixels "$colour" 30000 120 && return
    cat "$RIG_DIR/$1.out" "$RIG_DIR/$1.err" | tail -n 10
    return 1
}
# takes NEW_COLOUR: what is typed reaches the terminal, and what that does comes back as pixels.
takes() {
    rig_type "c ${1#\#}"
    rig_wait_pixels "$1" 30000 45 && colour=$1
}
# The session of the client that is there now still goes both ways.
lives() { kill -0 "$session_client" 2>/dev/null && takes "$1"; }

# Each story begins with a session, even after one that lost it.
with_session() {
    if rig_is_gone "${session_client:-0}" || ! rig_has_pixels "$colour" 30000 "$RIG_DIR/now.png"; then
        node_kill "${session_client:-}"
        within 20 vm_session_is 1 disconnected
        # A new session, should the old one be gone, has the image's colour.
        vm_x_state_is 1 suspended || colour='#1c2b3a'
        check "alice is back at her desktop" shows "again$SECONDS" || return 1
        rig_click_pixel "$colour"
        define_colours
    fi
}
define_colours() { rig_type 'c() { printf "\033]11;#$1\007"; }'; }

# ---- the stories -----------------------------------------------------------------------------

a_new_node_says_what_it_needs() {
    node_start
    check "a new node starts, with a database of its own" within 40 node_status_answers || give_up
    check "and says that it is unconfigured" within 20 log_has unconfigured
    FETCH_SECONDS=3 check "without a certificate nobody is served" not ping_is 200
    check "its status says so, too" bash -c "grep -q unconfigured <<<'$(node_status)'"
    check "qa config ssl is accepted" qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem"
    check "and used at once" within 15 ping_is 200 || give_up
    check "the node runs" within 15 node_is running || give_up
}
node_status_answers() { node_status | grep -q '"role":"hkd".*"state":"ready"' || node_is unconfigured; }

an_administrator_furnishes_it() {
    check "an OSF is added" qa osf add name=desk memory=256
    check "an image is added" qa di add osf=desk path="$QVD_TEST_IMAGE" || give_up
    check "alice is added" qa user add login=alice password="${alice#*:}"
    check "bob is added" qa user add login=bob password="${bob#*:}"
    check "the first VM is alice's" qa vm add name=one user=alice osf=desk
    check "the second VM is bob's" qa vm add name=two user=bob osf=desk
    check "both start" qa vm start --force
}

says() { # says STATUS USER:PASSWORD PATH [CURL OPTION...]
    local got
    got=$(fetch "${@:2}")
    [ "$got" = "$1" ] || { echo "  got $got: $(head -c 200 "$NODE_DIR/body")"; return 1; }
}
list_is_in_integers() {
    says 200 "$alice" /qvd/list_of_vm && tr -d ' \n' <"$NODE_DIR/body" >"$NODE_DIR/list" &&
        grep -q '"id":1[,}]' "$NODE_DIR/list" && grep -q '"blocked":0[,}]' "$NODE_DIR/list" &&
        ! grep -qE '"(id|blocked)":["tfn]' "$NODE_DIR/list"
}
names_only_one() { grep -q '"one"' "$NODE_DIR/list" && ! grep -q '"two"' "$NODE_DIR/list"; }
the_door_is_kept() {
    local connect='/qvd/connect_to_vm'
    check "a wrong password is refused (401)" says 401 alice:guess /qvd/list_of_vm
    check "so is an unknown user (401)" says 401 nobody:guess /qvd/list_of_vm
    check "and an empty password (401)" says 401 alice: /qvd/list_of_vm
    check "an unknown page is not found (404)" says 404 "$alice" /qvd/nothing
    check "the list of VMs has integers where clients want integers" list_is_in_integers
    check "it names only alice's" names_only_one
    check "bob's VM is not alice's to connect to (403)" says 403 "$alice" "$connect?id=2" "${UPGRADE[@]}"
    check "nor hers bob's (403)" says 403 "$bob" "$connect?id=1" "${UPGRADE[@]}"
    check "nor hers to stop (403)" says 403 "$alice" "/qvd/stop_vm?id=2"
    check "a VM that does not exist is not found (404)" says 404 "$alice" "$connect?id=99" "${UPGRADE[@]}"
    check "a connection needs a VM (422)" says 422 "$alice" "$connect" "${UPGRADE[@]}"
    check "and an upgrade (426)" says 426 "$alice" "$connect?id=1"
    check "a parameter of nobody's is refused (403)" says 403 "$alice" "$connect?id=1&evil=1" "${UPGRADE[@]}"
}

# shown_of ID COMMAND...: what `qa vm COMMAND` prints of the VM, for people.
shown_of() { qa vm "${@:2}" -f id="$1"; }
reason_of() { shown_of "$1" show --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["reason"])'; }
has_a_reason() { [ "$(vm_field "$1" state)" = failed ] && [ -n "$(reason_of "$1")" ]; }
a_failed_start_says_why() {
    local why
    echo "no archive at all" >"$NODE_DIR/nonsense.tar.gz"
    check "an OSF is added whose image will be none" qa osf add name=nonsense memory=64
    check "by force, that image, too" qa di add osf=nonsense path="$NODE_DIR/nonsense.tar.gz" --force
    check "and a VM of it" qa vm add name=three user=bob osf=nonsense
    check "its start is accepted" qa vm start -f id=3
    check "and fails, for a reason" within 60 has_a_reason 3 || return
    why=$(reason_of 3)
    echo "  the reason: $why"
    check "which names the image" grep -q nonsense.tar.gz <<<"$why"
    check "qa vm list tells it" grep -qF "$why" <<<"$(shown_of 3 list)"
    check "and so does qa vm show" grep -qF "$why" <<<"$(shown_of 3 show)"
    check "the VM can be deleted" qa vm del -f id=3 --force
    check "its image" qa di del -f osf=nonsense --force
    check "and its OSF" qa osf del -f name=nonsense --force
}

# It may warn of this machine's kernel and of a certificate for two days; of the node not.
doctor_is_content() {
    qa doctor --json >"$NODE_DIR/doctor" || { cat "$NODE_DIR/doctor"; return 1; }
    python3 -c 'import json, sys
it = json.load(open(sys.argv[1]))
bad = [c for c in it["checks"] if c["result"] != "ok" and not c["check"].startswith(("kernel.", "certificate."))]
print(bad)
sys.exit(not it["ok"] or bool(bad))' "$NODE_DIR/doctor"
}

# The key that bob's session shares with his client.
slave_key() {
    local client
    curl -svN -m 60 --cacert "$NODE_DIR/cert.pem" -u "$bob" "${UPGRADE[@]}" \
        "https://localhost:$NODE_PORT/qvd/connect_to_vm?id=2" >/dev/null 2>"$NODE_DIR/heads" &
    client=$!
    within 15 grep -qi '^< X-QVD-Slave-Key: ' "$NODE_DIR/heads"
    node_kill "$client"
    wait "$client" 2>/dev/null
    sed -n 's/\r$//; s/^< X-QVD-Slave-Key: //Ip' "$NODE_DIR/heads"
}
# What nobody may read, one a line: passwords as typed and as HTTP has them, the token of alice's
# agent, the key of bob's session, and the node's private key.
learn_secrets() {
    {
        printf '%s\n' "${alice#*:}" "${bob#*:}"
        printf '%s' "$alice" | base64
        printf '%s' "$bob" | base64
        cat "$NODE_DIR"/run/vm/1.token && echo
        slave_key
        grep -v -e ----- "$NODE_DIR/key.pem"
    } | grep . | sort -u >"$NODE_DIR/secrets"
    [ -s "$NODE_DIR/run/vm/1.token" ] && grep -q X-QVD-Slave-Key "$NODE_DIR/heads" &&
        [ "$(wc -l <"$NODE_DIR/secrets")" -ge 20 ] && ! grep -qxE '.{0,6}' "$NODE_DIR/secrets"
}
secrets_are_kept() {
    # Without the test's own processes: it knows them all.
    ps -eo args | grep -v -e "$0" -e grep >"$NODE_DIR/args"
    ! grep -rnF -f "$NODE_DIR/secrets" "$NODE_DIR/args" "$NODE_DIR"/node.out "$NODE_DIR"/log/* | cut -c 1-200 | grep .
}
alice_works() {
    check "alice's VM runs" within 30 vm_is 1 running
    rig_start 900x640 || give_up
    mkdir -p "$RIG_DIR/home/.qvd/certs" && cp "$NODE_DIR/cert.pem" "$RIG_DIR/home/.qvd/certs/"
    RIG_ENV=(QVDPASSWORD="${alice#*:}")
    check "alice logs in and sees her desktop" shows first || give_up
    check "the window manager's background, too" rig_wait_pixels "$desktop" 1000 30
    check "its terminal can be clicked" rig_click_pixel "$colour"
    define_colours
    rig_type 'MARKER=kept-$$'
    check "what she types shows" takes '#20c080'
    check "the database knows of her session" vm_session_is 1 connected
    check "her secrets can be told" learn_secrets
    check "and are in no command line, and not in the log" secrets_are_kept
    check "the doctor finds nothing wrong" doctor_is_content
}

marker_is() { grep -qx "kept-[0-9]*" "$(vm_root 1)/tmp/marker" 2>/dev/null; }
she_leaves_and_comes_back() {
    with_session || return
    kill -KILL "$session_client"
    check "a client that dies leaves a suspended session" within 25 vm_x_state_is 1 suspended
    check "the database knows that, too" within 10 vm_session_is 1 disconnected
    check "nothing of it stays on the screen" rig_wait_no_pixels "$colour" 45
    check "she finds the same application again" shows second || return
    rig_click_pixel "$colour"
    rig_type 'echo $MARKER >/tmp/marker'
    check "with what she had told it" within 10 marker_is
    check "and works on" lives '#3050c0'
}

she_moves_to_another_screen() {
    with_session || return
    local before=$session_client
    check "a second client takes the session over" shows third
    check "while the first ends" rig_client_ends "$before" 60
    check "that one ends well" test "${RIG_STATUS:-none}" = 0
    check "the desktop is on the second's screen" rig_wait_pixels "$colour" 30000 60 || return
    rig_click_pixel "$colour"
    check "and takes what she types" lives '#c05030'
}

# keeps_logging_in USER: until there is a file "enough"; one answer's code a line.
keeps_logging_in() {
    while [ ! -e "$NODE_DIR/enough" ]; do
        curl -s -m 20 --cacert "$NODE_DIR/cert.pem" -u "$1" -o "$NODE_DIR/body.logins" \
            -w '%{http_code} ' "https://localhost:$NODE_PORT/qvd/list_of_vm"
        head -c 200 "$NODE_DIR/body.logins" | tr '\n' ' '
        echo
        sleep 0.05
    done
}
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
every_login_worked() {
    within 20 has_lines "$NODE_DIR/logins" 10
    touch "$NODE_DIR/enough"
    wait "$1"
    rm "$NODE_DIR/enough"
    has_lines "$NODE_DIR/logins" 10 && ! grep -v '^200 ' "$NODE_DIR/logins" | head -n 5 | grep .
}
the_node_takes_news() {
    with_session || return
    local broker hkd worker logins before next
    broker=$(node_role broker) hkd=$(node_role hkd) worker=$(node_busy_worker)
    before=$(node_version)
    next=$("$QVD_NEXT_NODE" --version) && next=${next#qvd-node }
    check "the node has a version, and there is another one" test "${before:-$next}" != "$next"
    check "a package upgrade replaces the program" node_upgrade
    check "which changes nothing yet" not node_runs_upgrade "$NODE_PID"
    check "nor what it says of itself" test "$(node_version)" = "$before"
    check "bob's VM is stopped" qa vm stop -f id=2 --force
    check "and ends" within 30 vm_is 2 stopped
    keeps_logging_in "$bob" >"$NODE_DIR/logins" &
    logins=$!
    check "it is started again" qa vm start -f id=2 --force
    check "the log is moved away, as logrotate does" mv "$NODE_LOG" "$NODE_LOG.1"
    check "qvd-node reload succeeds" qvd_node reload
    check "the node's process is the same" kill -0 "$NODE_PID"
    check "its pid file, too" test "$(<"$NODE_DIR/run/qvd-node.pid")" = "$NODE_PID"
    check "the broker is a new one" within 20 node_role_is_new broker "$broker"
    check "so is hkd" within 20 node_role_is_new hkd "$hkd"
    check "the node now has the other version" test "$(node_version)" = "$next"
    check "the supervisor is of the new program" node_runs_upgrade "$NODE_PID"
    check "so is the broker" node_runs_upgrade "$(node_role broker)"
    check "and hkd" node_runs_upgrade "$(node_role hkd)"
    check "and whoever takes new connections" within 10 node_runs_upgrade "$(node_role l7r | head -n 1)"
    check "the new worker writes to the new log" within 10 new_log_has 'event=l7r.configured'
    check "the old one, which keeps the session, too" within 10 new_log_has " ${worker:-none} .*event=l7r.drain"
    check "the session lives on" lives '#808080'
    check "every login meanwhile was answered" every_login_worked "$logins"
    check "bob's VM has come up across all that" within 60 vm_is 2 running
    check "at its first attempt" not log_has 'vm=2 .*to=failed'
    check "the VM is still running" within 10 vm_is 1 running
}

# Whether a TCP connection from inside a VM succeeds; the target is proved to listen from outside.
vm_reaches() {
    local init
    init=$(vm_init "$1") && timeout 3 nsenter -t "$init" -n bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null
}
vm_cannot_reach() { vm_init "$1" >/dev/null && ! vm_reaches "$@"; }
vm_cannot_ping() {
    local init
    init=$(vm_init "$1") && ! nsenter -t "$init" -n ping -q -c 1 -W 2 "$2" >/dev/null
}
here_reaches() { timeout 3 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; }
users_are_apart() {
    check "bob's VM runs" within 60 vm_is 2 running || return
    local one two
    one=$(vm_field 1 address) two=$(vm_field 2 address)
    check "the node reaches bob's agent" here_reaches "$two" 3030
    check "the node's own port is open here" here_reaches "$NODE_NET.1" "$NODE_PORT"
    check "alice's VM reaches itself" vm_reaches 1 "$one" 3030
    check "bob's VM reaches itself" vm_reaches 2 "$two" 3030
    check "alice's VM cannot reach bob's agent" vm_cannot_reach 1 "$two" 3030
    check "nor bob's hers" vm_cannot_reach 2 "$one" 3030
    nsenter -t "$(vm_init 2)" -n python3 -m http.server 4100 >/dev/null 2>&1 &
    local listener=$!
    check "a program of bob's listens where his display would" within 10 here_reaches "$two" 4100
    check "which alice's VM cannot reach" vm_cannot_reach 1 "$two" 4100
    kill "$listener" && wait "$listener" 2>/dev/null
    check "nor the node's port" vm_cannot_reach 1 "$NODE_NET.1" "$NODE_PORT"
    check "nor anything of the node by ping" vm_cannot_ping 1 "$NODE_NET.1"
    check "nor bob's VM by ping" vm_cannot_ping 1 "$two"
    check "bob's processes are not to be seen from alice's VM" test "$(in_vm 1 pgrep -c -x qvd-vma)" = 1
}

a_vm_stops() {
    with_session
    check "qa vm stop is accepted" qa vm stop -f id=1 --force
    check "alice's VM stops" within 40 vm_is 1 stopped
    check "her client ends" rig_client_ends "${session_client:-0}" 60
    check "nothing of the VM is left" within 10 vm_left_nothing 1 || vm_leftovers 1
    check "bob's VM runs on" vm_is 2 running
    check "it is not blocked" test "$(vm_field 1 blocked)" = false
}

# One name of a request leads through the logs of both processes.
requests_have_names() {
    local name
    name=$(sed -n 's|.* qvd-node/l7r .* trace=\([^ ]*\) .*|\1|p' "$NODE_LOG" | tail -n 1)
    [ -n "$name" ] && log_has " qvd-node/broker .* trace=$name "
}

everything_ends() {
    check "a request has one name in the logs of l7r and broker" requests_have_names
    check "no secret has come into the log" secrets_are_kept
    check "qvd-node stop --vms succeeds" qvd_node stop --vms
    check "the node has ended" within 20 rig_is_gone "$NODE_PID"
    check "nothing of it is left" within 15 node_left_nothing || node_leftovers
    check "no program died but those that the test killed" no_other_died
}

# The stories in their order; arguments pick some of them.
stories=(
    a_new_node_says_what_it_needs an_administrator_furnishes_it the_door_is_kept a_failed_start_says_why
    alice_works she_leaves_and_comes_back she_moves_to_another_screen users_are_apart
    operators_come_from_afar orders_reach_a_container a_worker_dies
    the_worker_with_her_session_dies the_broker_dies the_vms_node_dies the_agent_dies
    the_node_takes_news the_database_dies
    the_supervisor_dies the_node_is_stopped_and_started a_vm_stops everything_ends
)
[ $# -eq 0 ] || stories=("$@")
node_make || exit 1
for story in "${stories[@]}"; do "$story"; done
summary
