# shellcheck shell=bash
# What `up`, `down` and tests/run share: packages, users, and words for the person who watches.
# Source it in bash with `set -euo pipefail`.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { echo "== $*" >&2; }
die() {
    echo "Error: $*" >&2
    exit 1
}

need_root() { [ "$(id -u)" -eq 0 ] || die "this needs root: sudo $0"; }

# need_packages FILE...: installs what is missing of the packages that the files list.
need_packages() {
    local package missing=()
    while read -r package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done < <(cat "$@" | sort -u)
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${#missing[@]} packages: ${missing[*]}"
    # The distribution's own database cluster is not wanted: a node runs its private one.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=600 update >&2
    apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "${missing[@]}" >&2
}

# The OS users and the group of etc/sysusers.d/qvd.conf, for machines without systemd.
need_users() {
    local kind name rest
    while read -r kind name rest; do
        case $kind in
        u) id "$name" >/dev/null 2>&1 ||
            useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$name" ;;
        g) getent group "$name" >/dev/null || groupadd --system "$name" ;;
        esac
    done < <(grep -v '^#' "$TOP/etc/sysusers.d/qvd.conf")
}

# until_true SECONDS COMMAND...: tries it five times a second.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

# setting KEY: what the farm's node.conf says; nothing if it does not, or if there is none.
setting() { sed -n "s/^${1//./\\.} *= *//p" "$CONF" 2>/dev/null || true; }
