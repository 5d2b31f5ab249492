#!/bin/bash
# What a node takes that only watches: CPU time of hkd and broker, memory of our processes, with many
# VMs running, and with many more in the database.
#   idle_bench.sh [RUNNING [IN_DATABASE [SECONDS]]]     100 10000 60
# QVD_BIN, QVD_PLUGINS: a release build. QVD_TEST_IMAGE: an image (tests/run makes one).
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../system/world.sh"
enter_world "$0" "$@"
trap node_remove EXIT
running=${1:-100} all=${2:-10000} seconds=${3:-60}

node_make
# What is logged at each start would be counted as well.
sed -i 's/^log.level.*/log.level = INFO/' "$NODE_DIR/node.conf"
node_start
rig_until 60 node_is unconfigured || exit 1
qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem" >/dev/null
rig_until 30 node_is running || exit 1
qa osf add name=desk memory=64 >/dev/null
qa di add osf=desk path="$QVD_TEST_IMAGE" >/dev/null
qa user add login=alice password=wonder-1 >/dev/null

database() {
    psql -h "$NODE_DIR/run/database" -U qvd_owner -d qvd -v ON_ERROR_STOP=1 -tAq \
        -c "SET search_path TO qvd" -c "$1"
}
# add_vms COUNT FIRST-ADDRESS: at once.
add_vms() {
    database "INSERT INTO vms (name, user_id, osf_id, address)
        SELECT 'vm-$2-' || n, (SELECT id FROM users), (SELECT id FROM osfs), '$2'::inet + n
        FROM generate_series(0, $1 - 1) AS n"
}
are_running() { [ "$(database "SELECT count(*) FROM vm_runtimes WHERE state = 'running'")" = "$1" ]; }

# CPU milliseconds so far of all processes of a role.
ticks=$(getconf CLK_TCK)
cpu_of() {
    local pid sum=0
    for pid in $(node_role "$1"); do
        sum=$((sum + $(sed 's/.*) //' "/proc/$pid/stat" | awk '{print $12 + $13}')))
    done
    echo $((sum * 1000 / ticks))
}
# Percent of one core that both take, over the seconds.
idle_cost() {
    local hkd broker
    hkd=$(cpu_of hkd) broker=$(cpu_of broker)
    sleep "$seconds"
    hkd=$(($(cpu_of hkd) - hkd)) broker=$(($(cpu_of broker) - broker))
    awk -v h="$hkd" -v b="$broker" -v s="$seconds" -v what="$1" 'BEGIN {
        printf "%-44s %.2f %% of a core (hkd %.2f, broker %.2f)\n", what, (h + b) / s / 10, h / s / 10, b / s / 10 }'
}
# KiB that processes of this name take, each page shared by n counted as one nth.
pss_of() {
    local pid sum=0
    for pid in $(pgrep "$@"); do
        sum=$((sum + $(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null || echo 0)))
    done
    echo "$sum"
}

idle_cost "no VM:"
if [ "$running" -gt 0 ]; then
    add_vms "$running" "$NODE_NET.100" || exit 1
    begin=$SECONDS
    qa vm start --force >/dev/null
    # Nodes are filled by what VMs may take: a small memory lets many in.
    rig_until 300 are_running "$running" || { log_tail; exit 1; }
    echo "$running VMs started in $((SECONDS - begin)) s"
    sleep 15
    idle_cost "$running VMs running:"
    echo "our processes on the node for each VM:       $(($(pss_of -f qvd-lxc-) / running)) KiB PSS (goal 2048)"
    echo "the agent in each VM:                        $(($(pss_of -x qvd-vma) / running)) KiB PSS (goal 4096)"
fi
[ "$all" -le "$running" ] || add_vms $((all - running)) 10.200.0.1
sleep 15
idle_cost "and $all VMs in the database:"
