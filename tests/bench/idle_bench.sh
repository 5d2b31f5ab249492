#!/bin/bash
# What a node takes that only watches: CPU time of hkd, broker and database, memory of our processes,
# with many VMs running, and with many more in the database.
#   idle_bench.sh [RUNNING [IN_DATABASE [SECONDS [ROUNDS]]]]     100 10000 60 5
# Few and many VMs in the database take turns, ROUNDS times; few are those that run, and 100 at least.
# QVD_BIN, QVD_PLUGINS: a release build. QVD_TEST_IMAGE: an image (tests/run makes one).
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../system/world.sh"
enter_world "$0" "$@"
trap node_remove EXIT
running=${1:-100} all=${2:-10000} seconds=${3:-60} rounds=${4:-5}
few=$((running > 100 ? running : 100))

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

# CPU nanoseconds so far of the processes whose pids come in.
cpu_of() {
    local pid
    while read -r pid; do
        cat "/proc/$pid/task/"*/schedstat 2>/dev/null
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
# The same of children of them that have ended.
ticks=$(getconf CLK_TCK)
cpu_of_ended() {
    local pid
    while read -r pid; do
        sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null
    done | awk -v t="$ticks" '{ sum += ($14 + $15) * 1e9 / t } END { printf "%.0f\n", sum }'
}
# The world has no other PostgreSQL than this node's.
cpu_of_all() {
    echo "$(node_role hkd | cpu_of) $(node_role broker | cpu_of) $(pgrep -x postgres | cpu_of)" \
        "$(pgrep -x postgres | cpu_of_ended)"
}
# Prints what hkd, broker and the database's standing processes take over the seconds, the sum of
# the three, and what database processes took that came and went: who looks every second whether it
# is there makes one, and its own housekeeping does. All in percent of one core.
idle_cost() {
    local before after
    before=$(cpu_of_all)
    sleep "$seconds"
    after=$(cpu_of_all)
    awk -v s="$seconds" '{ for (i = 1; i <= 4; ++i) cost[i] = ($(i + 4) - $i) / s / 1e7
        printf "%.3f %.3f %.3f %.3f %.3f\n", cost[1], cost[2], cost[3], cost[1] + cost[2] + cost[3], cost[4] }' <<<"$before $after"
}
# told WHAT COSTS: a line of a table; as many columns as idle_cost has.
told() {
    local columns
    read -ra columns <<<"$2"
    printf '%-44s' "$1"
    printf '%9s' "${columns[@]}"
    echo
}
# Of lines like idle_cost's, each column's median.
medians() {
    local column
    for column in 1 2 3 4 5; do
        cut -d ' ' -f "$column" "$1" | sort -n | awk '{ all[NR] = $1 }
            END { printf "%.3f ", (all[int((NR + 1) / 2)] + all[int(NR / 2) + 1]) / 2 }'
    done
}
# KiB that processes of this name take, each page shared by n counted as one nth.
pss_of() {
    local pid sum=0
    for pid in $(pgrep "$@"); do
        sum=$((sum + $(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null || echo 0)))
    done
    echo "$sum"
}

told "percent of one core, over $seconds s" "hkd broker database sum passing"
told "no VM" "$(idle_cost)"
if [ "$running" -gt 0 ]; then
    add_vms "$running" "$NODE_NET.100" || exit 1
    begin=$SECONDS
    qa vm start --force >/dev/null
    # Nodes are filled by what VMs may take: a small memory lets many in.
    rig_until 300 are_running "$running" || { log_tail; exit 1; }
    echo "$running VMs started in $((SECONDS - begin)) s"
    sleep 15
    told "$running VMs running" "$(idle_cost)"
    echo "our processes on the node for each VM:       $(($(pss_of -f qvd-lxc-) / running)) KiB PSS (goal 2048)"
    echo "the agent in each VM:                        $(($(pss_of -x qvd-vma) / running)) KiB PSS (goal 4096)"
fi
[ "$all" -gt "$few" ] || exit 0

# What PostgreSQL does about so many changes by itself some time is done at once, and an inventory is
# taken, before anything is measured.
settle() {
    PGOPTIONS='-c client_min_messages=error' database 'VACUUM ANALYZE'
    sleep 25
}
[ "$few" -le "$running" ] || add_vms $((few - running)) 10.199.0.1 || exit 1
for ((round = 1; round <= rounds; ++round)); do
    settle
    idle_cost >>"$NODE_DIR/few"
    add_vms $((all - few)) 10.200.0.1 || exit 1
    settle
    idle_cost >>"$NODE_DIR/many"
    told "round $round: $few VMs in the database" "$(tail -n 1 "$NODE_DIR/few")"
    told "round $round: $all VMs in the database" "$(tail -n 1 "$NODE_DIR/many")"
    database "DELETE FROM vms WHERE name LIKE 'vm-10.200.0.1-%'"
done
few_cost=$(medians "$NODE_DIR/few") many_cost=$(medians "$NODE_DIR/many")
told "medians: $few VMs in the database" "$few_cost"
told "medians: $all VMs in the database" "$many_cost"
told "how many times as much (goal: 1.1)" \
    "$(awk '{ for (i = 1; i <= 5; ++i) printf "%.2f ", ($i > 0 ? $(i + 5) / $i : 0) }' <<<"$few_cost $many_cost")"
