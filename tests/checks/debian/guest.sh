# shellcheck shell=bash
# Inside the machine: sets QVD up by README's words, then stops, kills and starts it by systemd's. Says
# `ok:` or `WRONG:` on a line each, and `the end`; then the machine is switched off.
set -u
DISPLAY=:7
PASSWORD=wonder-1
trap 'echo "the end"; sync; sleep 1; systemctl poweroff --force --force' EXIT # the line is slow

check() {
    local what=$1 before=$SECONDS
    shift
    if "$@" >/tmp/check.out 2>&1; then
        echo "ok: $what ($((SECONDS - before)) s)"
    else
        echo "WRONG: $what ($((SECONDS - before)) s)"
        tail -n 5 /tmp/check.out
        false
    fi
}
give_up() {
    journalctl --no-pager -n 40 -u qvd-node
    tail -n 40 /var/log/qvd.log
    exit
}
# within SECONDS COMMAND...: tries it twice a second.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.5
    done
}
main_pid() { systemctl show -P MainPID qvd-node; }
vm_is() { qa -q vm list -f id=1,state="$1" | grep -q .; }
session_is() { qa -q vm list -f id=1,user_state="$1" | grep -q .; }
# The container's first process, as this machine counts.
vm_init() { head -n 1 /sys/fs/cgroup/lxc.payload*/init/cgroup.procs; }
cgroup_of() { sed 's/^0:://' "/proc/$1/cgroup"; }
keeper() { pgrep -f qvd-lxc-keeper | head -n 1; }

# ---- the machine is what this is about --------------------------------------------------------

check "cgroups are version 2" [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]
check "AppArmor is on" grep -q Y /sys/module/apparmor/parameters/enabled
check "systemd runs the machine" [ "$(cat /proc/1/comm)" = systemd ]

# ---- as README says ---------------------------------------------------------------------------

check "its users are made" systemd-sysusers
check "each of them" getent passwd qvd-l7r qvd-broker qvd-dns qvd-db || give_up
check "its folders are made" systemd-tmpfiles --create
cat >>/etc/qvd/node.conf <<CONF
vm.hypervisor = lxc
vm.network.ip.start = 10.62.17.100
vm.network.netmask = 24
vm.network.bridge = qvdnet0
CONF
check "its configuration is right" qvd-node --check-config || give_up
check "systemctl starts it, now and at every boot" systemctl enable --now qvd-node || give_up
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout /root/key.pem -out /root/cert.pem 2>/dev/null
check "its certificate is set" qa config ssl cert=/root/cert.pem key=/root/key.pem
runs() { qa -q host list -f state=running | grep -q .; }
check "the node runs" within 60 runs || give_up
check "an OSF is added" qa osf add name=desk memory=256 user_storage_size=64
mkdir -p /var/lib/qvd/storage/staging
check "an image is added" qa di add path=/root/desktop.tar.zst osf=desk
check "a user is added" qa user add login=alice password=$PASSWORD
check "a VM is added" qa vm add name=one user=alice osf=desk
check "it starts, and its agent answers" qa vm start -f id=1 --force --wait || give_up
check "it runs" vm_is running || give_up
check "the doctor is content" qa doctor -q || qa doctor

# ---- where it runs ----------------------------------------------------------------------------

limit() { cat /sys/fs/cgroup/lxc.payload*/memory.max; }
check "its memory is limited" [ "$(limit)" = $((256 * 1024 * 1024)) ]
check "the roles are in the service's cgroup" [ "$(cgroup_of "$(main_pid)")" != "$(cgroup_of "$(vm_init)")" ]
check "the VM has a keeper" test -n "$(keeper)"
for pid in $(vm_init) $(keeper); do
    check "process $pid of the VM is not in it: $(cgroup_of "$pid")" \
        eval '! grep -q qvd-node.service "/proc/'"$pid"'/cgroup"'
done
check "AppArmor confines it" grep -q 'lxc-qvd-1_.*(enforce)' "/proc/$(vm_init)/attr/current"

# systemd writes controllers into the root of the hierarchy whenever the wishes of its units change.
limits() { grep -H . /sys/fs/cgroup/lxc.payload*/{memory.max,memory.swap.max,cpu.weight,pids.max}; }
limits_before=$(limits)
check "it has limits of each kind" [ "$(wc -l <<<"$limits_before")" = 4 ]
check "another service comes with a weight, and goes" systemd-run --quiet --wait -p CPUWeight=50 true
check "systemd reads its units anew" systemctl daemon-reload
check "the limits have stayed" [ "$(limits)" = "$limits_before" ] || limits

# ---- a session, and what systemd does to the service ------------------------------------------

mkdir -p /root/.qvd/certs /tmp/.X11-unix
cp /root/cert.pem /root/.qvd/certs/
Xvfb $DISPLAY -screen 0 800x600x24 >/dev/null 2>&1 &
within 60 test -S /tmp/.X11-unix/X7
DISPLAY=$DISPLAY QVDPASSWORD=$PASSWORD qvdclient -h localhost -u alice -o >/tmp/client.out 2>&1 &
CLIENT=$!
check "alice has a session" within 120 session_is connected || tail -n 5 /tmp/client.out
# An idle container is smaller than this, an X server is not.
used() { qa --json vm show -f id=1 | grep -o "\"$1\":[0-9]*" | cut -d: -f2; }
check "the memory that it uses is counted" within 60 eval '[ "$(used memory_used)" -ge 6 ]' || qa vm list --usage
check "and its processor time" within 60 eval '[ "$(used cpu_seconds)" -ge 1 ]' || qa vm list --usage
main=$(main_pid) init=$(vm_init)
check "systemctl reloads it" systemctl reload qvd-node || give_up
sleep 5
check "the session goes on" session_is connected
check "its client has not noticed" kill -0 $CLIENT
check "it is the same process" [ "$(main_pid)" = "$main" ]
kill -KILL "$main"
new_main() { [ "$(main_pid)" != "$main" ] && [ "$(main_pid)" != 0 ]; }
check "systemd starts it again when it is killed" within 60 new_main || give_up
check "the node runs again" within 90 runs || give_up
check "its VM is the same" [ "$(vm_init)" = "$init" ]
check "the session has not ended" kill -0 $CLIENT
# Before that, one that hangs has failed to start.
is_active() { [ "$(systemctl is-active qvd-node)" = active ]; }
check "it says to systemd that it is ready" within 60 is_active
main=$(main_pid)
kill -STOP "$main"
check "systemd's watchdog ends one that hangs" within 120 new_main || give_up
check "the node runs once more" within 90 runs || give_up
check "its VM is still the same" [ "$(vm_init)" = "$init" ]
check "systemctl stops it" systemctl stop qvd-node
check "nothing of it runs" eval '! pgrep -x qvd-node'
check "its VM runs on" kill -0 "$init"
check "systemctl starts it anew" systemctl start qvd-node || give_up
adopted() { vm_is running && [ "$(vm_init)" = "$init" ]; }
check "it takes its VM back" within 90 adopted || give_up
check "all its VMs are stopped" qvd-node stop --vms
left() {
    ls -d /sys/fs/cgroup/lxc.* /sys/fs/cgroup/qvd.* /sys/class/net/qvdnet0 2>/dev/null
    grep -E ' /(var/lib|run)/qvd' /proc/mounts
    pgrep -a qvd-lxc
    nft list tables
}
check "nothing of them is left" eval '[ -z "$(left)" ]' || left
exit
