#!/bin/bash
# How long an order to start takes from the database to the backend's call, on a whole node: by its
# announcement, and with the announcement lost.
#   order_latency.sh [ROUNDS]
# QVD_BIN, QVD_PLUGINS: the built programs and plugins; QVD_NOTING: the plugin noting; QVD_ORDERS: the
# program that orders. With QVD_TEST_EVERYTHING, on a machine that does nothing else, p99 must be under
# 20 ms; otherwise only that an announcement is faster than the look once a second, and that this look
# finds what was not announced.
set -u
here=$(cd "$(dirname "$0")" && pwd)
QVD_TEST_IMAGE=$0
. "$here/../../system/world.sh"
enter_world "$0" "$@"
. "$here/../../system/story.sh"

rounds=${1:-${QVD_TEST_EVERYTHING:+500}}
node_that_notes() {
    node_make && mkdir "$NODE_DIR/plugins" &&
        cp "$QVD_PLUGINS"/qvd-{weighted,default}.so "$QVD_NOTING" "$NODE_DIR/plugins/" &&
        sed -i "s|^vm.hypervisor = .*|vm.hypervisor = noting|; s|^path.plugins = .*|path.plugins = $NODE_DIR/plugins|" \
            "$NODE_DIR/node.conf" && echo 'hkd.vm.failure = ignore' >>"$NODE_DIR/node.conf" &&
        qemu_less_image "$NODE_DIR/staging/nothing.raw"
}
qemu_less_image() { head -c 1048576 /dev/zero >"$1"; }
sql() { psql -q -h "$NODE_DIR/run/database" -U qvd_owner -d qvd -c "$1"; }
# orders ROUNDS: sets median, p99 and longest, in milliseconds.
orders() {
    read -r median p99 longest < <("$QVD_ORDERS" "$NODE_DIR/node.conf" 1 "$1" 2>"$NODE_DIR/qa.err")
    [ -n "${longest:-}" ] && echo "        $1 orders: median $median ms, p99 $p99 ms, longest $longest ms"
}
under() { awk -v value="$1" -v limit="$2" 'BEGIN { exit !(value < limit) }'; }

node_that_notes || skip "no folder for a node can be made"
node_start
check "a node starts" within 40 node_is unconfigured || give_up
check "its certificate is set" qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem"
check "it runs" within 40 node_is running || give_up
check "an OSF is added" qa osf add name=none memory=16
check "an image is added" qa di add osf=none path="$NODE_DIR/staging/nothing.raw" --force || give_up
check "a user is added" qa user add login=alice password=wonder-1
check "a VM is added" qa vm add name=one user=alice osf=none
check "an order that is announced reaches the backend" orders "${rounds:-40}" || give_up
if [ -n "${QVD_TEST_EVERYTHING:-}" ]; then
    check "p99 is under 20 ms" under "$p99" 20
else
    check "long before the next look" under "$median" 400
fi
check "no order is announced any more" sql 'ALTER TABLE qvd.vm_runtimes DISABLE TRIGGER vm_runtimes_command'
check "an order that is not announced reaches the backend, too" orders 8 || give_up
check "by the look once a second" not under "$median" 100
check "soon enough" under "$p99" 5000
[ -z "${QVD_TEST_EVERYTHING:-}" ] || check "after about a second" under "$p99" 1200
summary
