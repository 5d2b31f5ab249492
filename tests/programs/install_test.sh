#!/bin/sh
# `cmake --install` puts everything where a Debian package would, with the right modes, and what it
# installs runs from there.
# install_test.sh BUILD-FOLDER
set -u
BUILD=$1
root=$(mktemp -d /tmp/qvd-install-XXXXXX)
trap 'rm -rf "$root"' EXIT
bad=0
wrong() { echo "WRONG: $1" >&2; bad=1; }

install() { # install PREFIX DESTDIR
    umask 022
    DESTDIR=$2 cmake --install "$BUILD" --prefix "$1" >"$root/install.log" 2>&1 ||
        { cat "$root/install.log" >&2; exit 1; }
}
# has MODE PATH...
has() {
    mode=$1
    shift
    for path in "$@"; do
        if [ ! -f "$root/dest$path" ]; then
            wrong "$path is missing"
        elif [ "$(stat -c %a "$root/dest$path")" != "$mode" ]; then
            wrong "$path has mode $(stat -c %a "$root/dest$path"), not $mode"
        fi
    done
}

install /usr "$root/dest"
has 755 /usr/bin/qa /usr/bin/qvdclient /usr/bin/qvd-plugin-check /usr/sbin/qvd-node \
    /usr/sbin/qvd-deploy-db /usr/sbin/qvd-image-build /usr/sbin/qvd-vma
has 755 /usr/lib/qvd/bin/qvd-lxc-keeper /usr/lib/qvd/bin/qvd-lxc-container \
    /usr/lib/qvd/bin/qvd-unpack /usr/lib/qvd/bin/qvd-image-init
has 644 /usr/lib/qvd/plugins/qvd-weighted.so /usr/lib/qvd/plugins/qvd-random.so \
    /usr/lib/qvd/plugins/qvd-default.so /usr/lib/qvd/plugins/qvd-lxc-btrfs.so \
    /usr/lib/qvd/plugins/qvd-lxc-unionfs.so
has 600 /etc/qvd/node.conf
has 644 /etc/qvd/vma.conf /etc/qvd/client.conf /etc/logrotate.d/qvd
has 644 /usr/share/qvd/config/node.conf /usr/share/qvd/images/debian-minimal.yaml
has 644 /usr/lib/systemd/system/qvd-node.service /usr/lib/sysusers.d/qvd.conf \
    /usr/lib/tmpfiles.d/qvd.conf
has 644 /usr/share/bash-completion/completions/qa /usr/share/bash-completion/completions/qvdclient
has 644 /usr/share/doc/qvd/LICENSE /usr/share/doc/qvd/README.md
for page in qvdclient.1 qvd-plugin-check.1 client.conf.5 node.conf.5 vma.conf.5 qa.8 \
    qvd-deploy-db.8 qvd-image-build.8 qvd-node.8 qvd-vma.8; do
    has 644 "/usr/share/man/man${page##*.}/$page"
done

# systemd makes no user whose description has a colon, which ends a field of /etc/passwd.
grep -v '^#' "$root/dest/usr/lib/sysusers.d/qvd.conf" | grep ':' && wrong "a user cannot be made"

# The SDK: headers in C and C++, what finds them, the guide and the examples.
has 644 /usr/include/qvd/plugin.h /usr/include/qvd/load_balancer.h /usr/include/qvd/load_balancer.hpp
find "$root/dest" -name qvd-sdk-config.cmake | grep -q . || wrong "there is no CMake package"
find "$root/dest" -path '*/pkgconfig/qvd-sdk.pc' | grep -q . || wrong "there is no qvd-sdk.pc"
find "$root/dest/usr/share/doc/qvd-sdk" -name '*.md' | grep -q . || wrong "there is no guide"
[ -d "$root/dest/usr/share/doc/qvd-sdk/examples/balancers" ] || wrong "there are no examples"

# Nobody but root may change any of it, and nothing but it is there.
open=$(find "$root/dest" ! -type l -perm /022 -print)
[ -z "$open" ] || wrong "others may change: $open"
stray=$(cd "$root/dest" && find . -type f | grep -vE '^\./(usr|etc/(qvd|logrotate\.d))/')
[ -z "$stray" ] || wrong "that belongs nowhere: $stray"

# What the unit and the log's rotation call is there, and says what it is.
unit=$root/dest/usr/lib/systemd/system/qvd-node.service
grep -q '@' "$unit" && wrong "the unit has words that nobody filled in"
grep -q -- '--config=/etc/qvd/node.conf' "$unit" || wrong "the unit names another file"
for program in $(sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' "$unit"); do
    [ -x "$root/dest$program" ] || wrong "the unit runs $program, which is not installed"
done
"$root/dest/usr/sbin/qvd-node" --help | grep -q reload || wrong "the installed qvd-node says nothing"
grep -q 'qvd-node reload' "$root/dest/etc/logrotate.d/qvd" || wrong "nobody opens a new log"

# Programs look for plugins and helpers where they were installed.
for key in path.plugins=/usr/lib/qvd/plugins path.qvd.bin=/usr/lib/qvd/bin; do
    sed -n "/^\.B ${key%%=*}/,/^\.TP/p" "$root/dest/usr/share/man/man5/node.conf.5" |
        tr -d '\\' | grep -q "${key#*=}" || wrong "${key%%=*} is not ${key#*=}"
done
if [ "$(id -u)" = 0 ]; then
    # Plugins of whom nobody can have written but root; /tmp is everybody's.
    cat >"$root/node.conf" <<CONF
nodename = n1
path.run = $root/run
path.log = $root/log
path.database = $root/database
path.storage.root = $root/storage
path.plugins = $root/dest/usr/lib/qvd/plugins
path.qvd.bin = $root/dest/usr/lib/qvd/bin
vm.hypervisor = lxc
vm.network.ip.start = 10.3.15.50
vm.network.netmask = 24
CONF
    "$root/dest/usr/sbin/qvd-node" -c "$root/node.conf" --check-config >"$root/out" 2>&1 ||
        wrong "the installed node finds its configuration wrong: $(cat "$root/out")"
    for plugin in weighted random default lxc-btrfs lxc-unionfs; do
        grep -q "$plugin" "$root/out" || wrong "the installed node does not find the plugin $plugin"
    done
fi

# Elsewhere, settings go below the prefix; what somebody has written stays.
install /opt/qvd "$root/dest"
has 600 /opt/qvd/etc/qvd/node.conf
has 644 /opt/qvd/etc/logrotate.d/qvd
grep -q /opt/qvd/sbin/qvd-node "$root/dest/opt/qvd/lib/systemd/system/qvd-node.service" ||
    wrong "the unit of another prefix runs another program"
echo '# mine' >"$root/dest/etc/qvd/node.conf"
install /usr "$root/dest"
[ "$(cat "$root/dest/etc/qvd/node.conf")" = '# mine' ] || wrong "a second installation took my settings"
[ $bad = 0 ] && echo "everything is installed where it belongs"
exit $bad
