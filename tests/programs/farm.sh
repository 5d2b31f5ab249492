# shellcheck shell=sh
# A folder with an embedded database and a node.conf for a test of qa, gone at its end; sourced with QA
# and PLUGINS set. Sets root (the folder) and bad (1 after a failure).
skip() { echo "skipped: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip "starting a database as another user needs root"
user=
for name in postgres qvd-db; do id $name >/dev/null 2>&1 && user=$name; done
[ -n "$user" ] || skip "there is neither a user qvd-db nor postgres"
[ -d /usr/lib/postgresql ] || skip "no PostgreSQL server is installed"
command -v openssl >/dev/null || skip "openssl is not installed"

root=$(mktemp -d /tmp/qvd-qa-XXXXXX)
chmod 755 "$root"
end() {
    pid=$(find "$root/database" -name postmaster.pid -exec head -1 {} \; 2>/dev/null)
    if [ -n "$pid" ]; then
        kill -INT "$pid"
        tail --pid="$pid" -f /dev/null
    fi
    rm -rf --one-file-system "$root"
}
trap end EXIT
cat >"$root/node.conf" <<CONF
nodename = n1
path.run = $root/run
path.log = $root/log
path.database = $root/database
path.storage.root = $root/storage
path.plugins = $PLUGINS
path.qvd.bin = $(dirname "$QA")
internal.database.os_user = $user
vm.hypervisor = lxc
vm.network.ip.start = 10.3.15.50
vm.network.netmask = 24
l7r.port = 1
CONF

bad=0
wrong() { echo "WRONG: $1" >&2; cat "$root/out" "$root/err" >&2; bad=1; }
# expect CODE ARGUMENTS...: runs qa and checks its exit code.
expect() {
    code=$1
    shift
    "$QA" -c "$root/node.conf" "$@" >"$root/out" 2>"$root/err" </dev/null
    got=$?
    [ $got = "$code" ] || wrong "qa $*: exit code $got, not $code"
}
prints() { grep -q -e "$1" "$root/out" || wrong "there is no \"$1\""; }
complains() { grep -q -e "$1" "$root/err" || wrong "there is no complaint \"$1\""; }
