#!/bin/bash
# A small Debian whose init is systemd, as users' images have it; made once.
#   systemd_image.sh ARCHIVE
# Ends with 77 and the reason where it cannot be had here.
set -u
archive=$1
exec 9>"$archive.lock"
flock 9
[ ! -s "$archive" ] || exit 0
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed"; exit 77; }
made=$(mktemp -d "${TMPDIR:-/tmp}/qvd-systemd-XXXXXX")
trap 'rm -rf --one-file-system "$made" "$archive.new"' EXIT
if ! TMPDIR=$made mmdebstrap --quiet --variant=minbase --format=tar \
    --include=systemd-sysv,dbus,libpam-systemd --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$made/image.tar" >"$made/log" 2>&1; then
    tail -n 5 "$made/log"
    # Packages cannot be had from here; whatever else is wrong is a failure.
    ! grep -q 'apt-get update .*failed' "$made/log" || exit 77
    exit 1
fi
# Beside its place first: whoever finds it finds it whole.
cp "$made/image.tar" "$archive.new" && mv "$archive.new" "$archive"
