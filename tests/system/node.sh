# shellcheck shell=bash
# A node of its own for a test: its folders, its orders, its VMs seen from outside. Source it after
# display/rig.sh. Environment: QVD_BIN, QVD_PLUGINS, QVD_TEST_IMAGE.
#
#   node_make                   folders, certificate and node.conf below NODE_DIR, nothing runs yet
#   node_start                  starts it; sets NODE_PID
#   node_upgrade                puts QVD_NEXT_NODE, a build of another version, in its program's place,
#                               as a package would
#   node_version                prints the version that the running node says it has
#   node_runs_upgrade PID       whether that process is of the file that is there now
#   node_is STATE               whether `qvd-node status` says so
#   node_role ROLE [READY]      prints the pids of the processes of that role
#   node_free_worker            prints the pid of an l7r process without sessions
#   node_busy_worker            prints the pid of one with a session
#   qa ... / qvd_node ...       the programs, with this node's configuration
#   log_has TEXT, new_log_has TEXT, log_tail
#   vm_field ID NAME            prints one field of `qa vm list --json`
#   vm_is ID STATE
#   vm_init ID                  prints the pid of the container's init
#   in_vm ID COMMAND...         runs it in the container
#   fetch USER:PASSWORD PATH [CURL OPTION...]   prints the HTTP status; the body is in $NODE_DIR/body
#   vm_leftovers ID, node_leftovers   print what is still there, one a line

# Of the test's own network, which nobody else sees.
NODE_NET=10.62.15
NODE_BRIDGE=qvdsys0

node_make() {
    NODE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/qvd-system-XXXXXX") || return 1
    chmod 755 "$NODE_DIR"
    mkdir "$NODE_DIR/log" "$NODE_DIR/staging" "$NODE_DIR/memory" "$NODE_DIR/bin"
    # Of its own, so that a package upgrade can be played; what it starts beside itself is the build's.
    cp "$QVD_BIN/qvd-node" "$NODE_DIR/bin/" || return 1
    # Its database needs no disk; a busy one would make each commit wait.
    mount -t tmpfs -o size=512m,mode=755 qvd-test "$NODE_DIR/memory" || return 1
    NODE_PORT=8443
    NODE_CONTAINER=qvds$((RANDOM % 9000 + 1000))-
    NODE_LOG=$NODE_DIR/log/qvd.log
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$NODE_DIR/key.pem" -out "$NODE_DIR/cert.pem" 2>"$NODE_DIR/openssl.log" || return 1
    cat >"$NODE_DIR/node.conf" <<CONF
nodename = system
path.run = $NODE_DIR/run
path.log = $NODE_DIR/log
path.database = $NODE_DIR/memory/database
path.storage.root = $NODE_DIR/storage
path.storage.staging = $NODE_DIR/staging
path.plugins = $QVD_PLUGINS
path.qvd.bin = $QVD_BIN
log.level = DEBUG
l7r.port = $NODE_PORT
l7r.workers = 2
vm.hypervisor = lxc
vm.network.bridge = $NODE_BRIDGE
vm.network.ip.start = $NODE_NET.100
vm.network.netmask = 24
internal.vm.network.device.prefix = qsys
internal.vm.lxc.name.prefix = $NODE_CONTAINER
node.stop.timeout = 3
CONF
    chmod 600 "$NODE_DIR/node.conf"
}

node_start() {
    "$NODE_DIR/bin/qvd-node" -c "$NODE_DIR/node.conf" >>"$NODE_DIR/node.out" 2>&1 </dev/null &
    NODE_PID=$!
}

node_upgrade() {
    cp "$QVD_NEXT_NODE" "$NODE_DIR/bin/qvd-node.new" &&
        mv "$NODE_DIR/bin/qvd-node.new" "$NODE_DIR/bin/qvd-node"
}
node_runs_upgrade() { [ -n "$1" ] && [ "/proc/$1/exe" -ef "$NODE_DIR/bin/qvd-node" ]; }

qa() { timeout 60 "$QVD_BIN/qa" -c "$NODE_DIR/node.conf" "$@" </dev/null 2>"$NODE_DIR/qa.err"; }
qvd_node() { timeout 90 "$NODE_DIR/bin/qvd-node" -c "$NODE_DIR/node.conf" "$@" </dev/null 2>>"$NODE_DIR/node.out"; }

node_status() { qvd_node status --json; }
node_version() { node_status | sed 's/.*"version":"\([^"]*\)".*/\1/'; }
node_is() { node_status | grep -q "\"state\":\"$1\""; }

# One role a line.
node_roles() { node_status | grep -o '{"role":[^}]*}'; }
node_role() {
    node_roles | grep "\"role\":\"$1\".*\"state\":\"${2:-ready}\"" | sed 's/.*"pid":\([0-9]*\).*/\1/'
}
node_free_worker() {
    node_roles | grep '"role":"l7r".*"state":"ready","load":0,' | head -n 1 |
        sed 's/.*"pid":\([0-9]*\).*/\1/'
}
node_busy_worker() {
    node_roles | grep '"role":"l7r".*"load":[1-9]' | head -n 1 | sed 's/.*"pid":\([0-9]*\).*/\1/'
}
# node_role_is_new ROLE OLD_PID: another process does that role's work, and is ready.
node_role_is_new() {
    local pids
    pids=$(node_role "$1")
    [ -n "$pids" ] && ! grep -qx "$2" <<<"$pids"
}

# within SECONDS COMMAND...: on an idle machine; a busy one gets four times as long.
within() { rig_until $(($1 * 4)) "${@:2}"; }

# In what was moved away, too.
log_has() { grep -q -- "$1" "$NODE_LOG"*; }
new_log_has() { grep -q -- "$1" "$NODE_LOG"; }
log_tail() { tail -n "${1:-40}" "$NODE_LOG" | cut -c 1-300; }

vm_field() {
    qa vm list --json | tr '{' '\n' | grep "^\"id\":$1," | grep -o "\"$2\":[^,}]*" |
        sed 's/^[^:]*://; s/^"//; s/"$//'
}
vm_is() { [ "$(vm_field "$1" state)" = "$2" ]; }
vm_session_is() { [ "$(vm_field "$1" user_state)" = "$2" ]; }

# Of all hierarchies, and with the cgroups below.
cgroup_processes() {
    find /sys/fs/cgroup -path "*/$1*/cgroup.procs" -exec cat {} + 2>/dev/null | sort -nu
}
vm_cgroup() { echo "lxc.payload.$NODE_CONTAINER$1"; }
vm_init() {
    local pid
    # It alone has the number 1 in the container; it may have moved to a cgroup of its own below.
    while read -r pid; do
        grep -q '^NSpid:.*[[:space:]]1$' "/proc/$pid/status" 2>/dev/null && echo "$pid" && return
    done < <(cgroup_processes "$(vm_cgroup "$1")")
    echo "no process 1 of VM $1 is there" >&2
    return 1
}
in_vm() {
    local init
    init=$(vm_init "$1") || return 125
    timeout 20 nsenter -t "$init" -m -u -i -n -p -r -w "${@:2}"
}
vm_root() { echo "$NODE_DIR/storage/rootfs/$1-fs/root"; }
# The agent speaks only to who has the token of this start.
vm_x_state() {
    curl -s -m 3 -H "Authorization: Bearer $(tr -d "\n" <"$NODE_DIR/run/vm/$1.token")" \
        "http://$(vm_field "$1" address):3030/vma/x_state" | tr -d '"\r\n'
}
vm_x_state_is() { [ "$(vm_x_state "$1")" = "$2" ]; }

fetch() {
    curl -s -m "${FETCH_SECONDS:-20}" --cacert "$NODE_DIR/cert.pem" -u "$1" -o "$NODE_DIR/body" -w '%{http_code}' \
        "${@:3}" "https://localhost:$NODE_PORT$2"
}
# What a client of QVD asks for to become its VM's.
UPGRADE=(-H 'Connection: Upgrade' -H 'Upgrade: QVD/1.0')
login_works() { [ "$(fetch "$1" /qvd/list_of_vm)" = 200 ]; }
ping_is() { [ "$(curl -s -m "${FETCH_SECONDS:-20}" --cacert "$NODE_DIR/cert.pem" -o "$NODE_DIR/body" -w '%{http_code}' \
    "https://localhost:$NODE_PORT/qvd/ping")" = "$1" ]; }

vm_leftovers() {
    grep -o " $NODE_DIR/storage/rootfs/$1-fs[^ ]*" /proc/mounts | sed 's/^/mount/'
    find /sys/fs/cgroup -maxdepth 6 -name "lxc.*.$NODE_CONTAINER$1" | sed 's/^/cgroup /'
    ip -o link show | grep -o "qsys$1@[^:]*" | sed 's/^/link /'
    ls -d "$NODE_DIR/run/vm/$1.sock" 2>/dev/null
}
vm_left_nothing() { [ -z "$(vm_leftovers "$1")" ]; }

node_leftovers() {
    grep -o " $NODE_DIR[^ ]*" /proc/mounts | grep -v "/memory$" | sed 's/^/mount/'
    find /sys/fs/cgroup -maxdepth 6 -name "lxc.*.$NODE_CONTAINER*" | sed 's/^/cgroup /'
    ip -o link show | grep -o -e "qsys[0-9]*@[^:]*" -e "$NODE_BRIDGE:" | sed 's/^/link /'
    nft list tables | grep -w qvd-qsys
    # The test runs in a world of its own: whatever here is one of QVD's is the node's.
    ps -eo pid,user,args | grep -E "^ *[0-9]+ +(qvd-[^ ]*|[^ ]+ +($NODE_DIR/bin/qvd-node|$QVD_BIN/qvd-lxc))|postgres" | grep -v grep
    ls "$NODE_DIR"/run/*.sock "$NODE_DIR"/run/qvd-node.pid 2>/dev/null
}
node_left_nothing() { [ -z "$(node_leftovers)" ]; }

# Whatever happened. Processes end with the test's world; mounts and cgroups are everybody's.
node_remove() {
    local at
    [ -n "${NODE_DIR:-}" ] || return
    node_kill "${NODE_PID:-}" "$(vm_init 1 2>/dev/null)" "$(vm_init 2 2>/dev/null)"
    # shellcheck disable=SC2046  # one argument a process
    node_kill $(ps -eo pid,args | awk -v build="$QVD_BIN/" -v own="$NODE_DIR/" 'index($2, build) == 1 || index($2, own) == 1 || $2 ~ /postgres$/ { print $1 }')
    rig_until 5 no_cgroup_is_busy
    find /sys/fs/cgroup -maxdepth 8 -depth -type d -path "*lxc.*.$NODE_CONTAINER*" -exec rmdir {} \; 2>/dev/null
    if [ -n "${RIG_KEEP:-}" ]; then
        rm -rf "$NODE_DIR/memory/database"
        echo "kept: $NODE_DIR"
    fi
    grep -o " $NODE_DIR[^ ]*" /proc/mounts | sort -r | while read -r at; do umount -l "$at"; done
    [ -n "${RIG_KEEP:-}" ] || rm -rf --one-file-system "$NODE_DIR"
}
node_kill() {
    local pid
    for pid; do
        # Never 0 or an empty word: those mean oneself.
        [ "${pid:-0}" -gt 1 ] && kill -KILL "$pid" 2>/dev/null
    done
}
no_cgroup_is_busy() { [ -z "$(cgroup_processes "lxc.*.$NODE_CONTAINER")" ]; }
