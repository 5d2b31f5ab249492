# shellcheck shell=bash
# Operators from afar: the node's control protocol over the port that clients use. Source it after
# node.sh and story.sh, with alice's VM (1) running.

ann=ann:remote-1
olga=olga:watch-2

# What an operator asks for in place of QVD/1.0.
ADMIN=(-H 'Connection: Upgrade' -H 'Upgrade: QVD-Admin/1.0')
node_says() { # node_says STATUS USER:PASSWORD PATH [CURL OPTION...]
    says "$1" "$2" "/qvd/admin$3" --http1.1 "${ADMIN[@]}" "${@:4}"
}
# In a terminal of its own, as a person uses it: types, waits for what comes, and leaves.
# console_answers WHO:PASSWORD OPTION... : alice's console echoes, and Ctrl-] gives the terminal back.
console_answers() {
    HOME=$NODE_DIR/home QVDPASSWORD=${1#*:} timeout 60 python3 - "$QVD_BIN/qa" -c "$NODE_DIR/node.conf" vm console -f id=1 "${@:2}" \
        >"$NODE_DIR/console.out" 2>&1 <<'PYTHON'
import os, pty, select, sys, termios, time
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
heard = b""
asked = time.monotonic()
end = asked + 40
def wait_for(word, typed=None):
    global heard, asked
    while word not in heard:
        if time.monotonic() > end:
            sys.exit("no %r in %r" % (word, heard))
        if typed and time.monotonic() > asked:
            os.write(terminal, typed)
            asked = time.monotonic() + 2
        if select.select([terminal], [], [], 0.2)[0]:
            heard += os.read(terminal, 4096)
before = termios.tcgetattr(terminal)
wait_for(b"Ctrl-] leaves it")
# Whatever listens there: its terminal echoes what is typed.
wait_for(b"marker-7", b"marker-7\r")
os.write(terminal, b"\x1d")
_, status = os.waitpid(child, 0)
if termios.tcgetattr(terminal) != before:
    sys.exit("the terminal is not as it was")
sys.exit(os.waitstatus_to_exitcode(status))
PYTHON
    local status=$?
    [ $status = 0 ] || { tail -c 600 "$NODE_DIR/console.out"; return $status; }
}
# Not a whole ssh server: one that says its name, which is as far as the way leads.
ssh_greets() {
    local server
    nsenter -t "$(vm_init 1)" -n python3 -c 'import socket
door = socket.create_server(("0.0.0.0", 22))
while True: door.accept()[0].sendall(b"SSH-2.0-OfTheVm\r\n")' &
    server=$!
    within 10 here_reaches "$(vm_field 1 address)" 22
    HOME=$NODE_DIR/home QVDPASSWORD=${ann#*:} qa vm ssh -f id=1 --node "localhost:$NODE_PORT" --operator ann -- -v
    node_kill "$server"
    wait "$server" 2>/dev/null
    grep -q 'remote software version OfTheVm' "$NODE_DIR/qa.err"
}
a_stranger_gets_no_password() {
    HOME=$NODE_DIR/home QVDPASSWORD=${ann#*:} qa vm console -f id=1 --node "localhost:$NODE_PORT" --operator ann
    [ $? = 4 ] && grep -q 'is not accepted' "$NODE_DIR/qa.err"
}
audit_has() {
    psql -h "$NODE_DIR/run/database" -U qvd_owner -d qvd -tAc \
        "SELECT count(*) > 0 FROM qvd.audit WHERE who = '$1' AND operation = '$2' AND subject LIKE '$3'" \
        2>"$NODE_DIR/psql.err" | grep -qx t || { cat "$NODE_DIR/psql.err"; return 1; }
}
door_closes() {
    local answer='' tries
    for ((tries = 0; tries < 60; tries++)); do
        answer=$(fetch "olga:guess$tries" /qvd/admin/v1/status --http1.1 --interface 127.0.0.2 "${ADMIN[@]}")
        [ "$answer" = 429 ] && return
        [ "$answer" = 401 ] || break
    done
    echo "  after $tries guesses: $answer"
    return 1
}
operators_come_from_afar() {
    check "alice's VM runs" within 60 vm_is 1 running || return
    check "an operator is added" qa operator add name=ann role=operator password="${ann#*:}"
    check "and an observer" qa operator add name=olga role=observer password="${olga#*:}"
    check "the observer sees the node's state" node_says 200 "$olga" /v1/status
    check "and its VMs" node_says 200 "$olga" /v1/vms
    check "and what a VM says at its console" node_says 200 "$olga" /v1/vm/1/log
    check "but gets no console (403)" node_says 403 "$olga" /v1/vm/1/console
    check "a user is no operator (401)" node_says 401 "$alice" /v1/status
    check "nor is one without the password (401)" node_says 401 ann:guess /v1/status
    check "without an upgrade there is nothing (426)" says 426 "$ann" /qvd/admin/v1/status --http1.1
    check "what is not there is not found (404)" node_says 404 "$ann" /v1/nothing
    check "nor is a VM that does not exist (404)" node_says 404 "$ann" /v1/vm/99/console
    check "a container has no VNC screen (409)" node_says 409 "$ann" /v1/vm/1/vnc
    check "root opens alice's console on the node" console_answers :
    mkdir -p "$NODE_DIR/home/.qvd/certs" && cp "$NODE_DIR/cert.pem" "$NODE_DIR/home/.qvd/certs/"
    check "the operator opens it over the port of the clients" \
        console_answers "$ann" --node "localhost:$NODE_PORT" --operator ann
    check "and reaches the VM's ssh server through it" ssh_greets
    rm "$NODE_DIR/home/.qvd/certs/cert.pem"
    check "a node that cannot prove who it is gets no password" a_stranger_gets_no_password
    check "who opened a console is in the audit" audit_has 'operator ann' 'admin console' 'vm 1 from %'
    check "and who was refused one" audit_has 'operator olga' 'admin console refused' 'vm 1 from %'
    check "a guesser is soon refused (429)" door_closes
}
