#!/bin/bash
# qa di build and qa di edit, with an embedded database of their own: real chroots and archives, a
# stand-in for mmdebstrap; what is built for real: tests/image/build_test.sh. With
# QVD_TEST_EVERYTHING=1 and QVD_TEST_DISK a disk is edited, too.
# qa_images_test.sh QA QVD-DEPLOY-DB PLUGINS; qvd-unpack lies beside qa
set -u
QA=$1 DEPLOY=$2 PLUGINS=$3
# shellcheck source=farm.sh
. "$(dirname "$0")/farm.sh"
[ -x /bin/busybox ] || skip "busybox is not installed"
images=$root/storage/images staging=$root/storage/staging
until_true() {
    local last=$((SECONDS + 20))
    until "$@"; do
        [ $SECONDS -lt $last ] || return 1
        sleep 0.1
    done
}
nothing_runs() { ! pgrep -f "$1" >/dev/null; }
nothing_staged() { [ -z "$(ls -A "$staging")" ] && ! grep -q "$root" /proc/self/mounts; }
nothing_left() {
    until_true nothing_staged || { ls -lA "$staging"; wrong "something is left after $1"; }
    [ "$(ls "$images" 2>/dev/null | wc -l)" = "$2" ] || wrong "there are not $2 images after $1"
}
# of ID WORD...: a file of an image.
inside() { tar -C / -xOf "$images/$1-"* "./$2"; }

"$DEPLOY" -c "$root/node.conf" >"$root/out" 2>&1 || wrong "no database"
expect 0 osf add name=desk memory=256
expect 0 osf add name=disk memory=256
expect 0 osf propset vm.hypervisor=kvm -f name=disk

# ---- build ----
mkdir "$root/bin"
cat >"$root/bin/mmdebstrap" <<'SH'
#!/bin/sh
# What the real one says, and an archive with a tool box.
for word; do case $word in *.tar*) archive=$word ;; esac; done
echo 'I: running apt-get update...'
[ ! -e "$FAKE/no-package" ] || { echo "E: Unable to locate package jwn" >&2; exit 25; }
[ ! -e "$FAKE/endless" ] || sleep 3611
echo 'I: installing remaining packages inside the chroot...'
mkdir -p "$TMPDIR/r/bin" "$TMPDIR/r/etc" "$TMPDIR/r/usr/sbin" "$TMPDIR/r/root" "$TMPDIR/r/sbin"
cp /bin/busybox "$TMPDIR/r/bin/"
for tool in sh cat ls mount grep id test wc sleep rm ln readlink; do ln -s busybox "$TMPDIR/r/bin/$tool"; done
ln -s ../run/resolv.conf "$TMPDIR/r/etc/resolv.conf"
setcap cap_net_raw+ep "$TMPDIR/r/bin/busybox" 2>/dev/null
echo 'I: creating tarball...'
tar -C "$TMPDIR/r" --xattrs --xattrs-include='*' -caf "$archive" .
SH
chmod 755 "$root/bin/mmdebstrap"
export PATH=$root/bin:$PATH FAKE=$root/fake
mkdir "$FAKE"
printf 'format: 1\nname: small\nsuite: bookworm\npackages: [jwn]\n' >"$root/small.yaml"
printf 'format: 1\nname: bad\nsuite: bookworm\npakages: [a]\n' >"$root/bad.yaml"

expect 2 di build osf=desk
complains 'one recipe, please'
expect 3 di build no-such-recipe osf=desk
complains 'no recipe "no-such-recipe"'
expect 2 di build "$root/bad.yaml" osf=desk
complains 'bad.yaml:4: there is no key "pakages"; did you mean "packages"'
expect 3 di build "$root/small.yaml" osf=none
expect 2 di build "$root/small.yaml" osf=desk format=zip
complains 'must end in'
expect 2 di build "$root/small.yaml" osf=disk format=tar.gz
complains 'run on kvm, which needs a disk'
expect 2 di build "$root/small.yaml" osf=disk
complains 'is for containers only'
touch "$FAKE/no-package"
expect 3 di build "$root/small.yaml" osf=desk
complains 'Unable to locate package jwn in the release bookworm'
rm "$FAKE/no-package"
nothing_left "builds that failed" 0
expect 0 di build "$root/small.yaml" osf=desk format=tar.gz version=first
prints '^1$'
complains '^1/7 reading the lists of packages$'
expect 0 di list --json
prints '"path":"1-small.tar.gz"'
prints 'head'
expect 4 di build "$root/small.yaml" osf=desk version=first
nothing_left "a build" 1
# A bar on a terminal.
"$(dirname "$0")/at_terminal.py" "$QA" -c "$root/node.conf" di build "$root/small.yaml" osf=desk format=tar >"$root/out" </dev/null ||
    wrong "no image can be built at a terminal"
grep -qF '[#################---]  85 %  7/7 packing the image' "$root/out" || wrong "no bar on a terminal"
# Interrupted, and killed.
touch "$FAKE/endless"
for signal in INT KILL; do
    "$QA" -c "$root/node.conf" di build "$root/small.yaml" osf=desk >"$root/out" 2>"$root/err" &
    building=$!
    until_true pgrep -f 'sleep 3611' >/dev/null || wrong "the build does not begin"
    kill -$signal $building
    wait $building 2>/dev/null
    [ $? != 0 ] || wrong "a build that got SIG$signal ends well"
    until_true nothing_runs 'sleep 3611' || wrong "mmdebstrap goes on after SIG$signal"
    nothing_left "SIG$signal" 2
done
rm "$FAKE/endless"

# ---- edit ----
before=$(sha256sum <"$images/1-small.tar.gz")
expect 2 di edit di_id=1
complains 'nobody is at a terminal'
expect 3 di edit di_id=77 -- true
expect 0 di edit di_id=1 tag=blue version=second -- sh -c 'echo new >/etc/motd; mount >/etc/seen; ls /dev >>/etc/seen; cat /etc/resolv.conf >/etc/names'
prints '^3$'
[ "$(inside 3 etc/motd)" = new ] || wrong "what was edited is not there"
inside 3 etc/seen | grep -q '^proc on /proc ' || wrong "there was no /proc"
inside 3 etc/seen | grep -qx null || wrong "there was no /dev/null"
inside 3 etc/names | cmp -s - /etc/resolv.conf || wrong "there were no names of the network"
tar -tvf "$images"/3-small.tar.gz ./etc/resolv.conf | grep -q -- '-> ../run/resolv.conf' || wrong "the resolv.conf is another"
! tar -tf "$images"/3-small.tar.gz | grep -q policy-rc.d || wrong "a policy-rc.d is left"
[ "$(sha256sum <"$images/1-small.tar.gz")" = "$before" ] || wrong "the image itself was changed"
expect 0 di list -f id=3 --json
prints '"version":"second"'
prints blue
nothing_left "an edit" 3
expect 1 di edit di_id=1 -- sh -c 'exit 7'
complains 'ended with status 7; no new version'
nothing_left "a command that failed" 3
expect 4 di edit di_id=1 version=second -- true
complains 'the version "second" already'
# Two at once; then the first is killed, with whatever runs in it.
"$QA" -c "$root/node.conf" di edit di_id=1 -- sleep 3612 >/dev/null 2>&1 &
editing=$!
until_true pgrep -f '^sleep 3612' >/dev/null || wrong "the edit does not begin"
! grep -q "$staging" /proc/self/mounts || wrong "its mounts are seen"
expect 4 di edit di_id=1 -- true
complains 'is being edited already'
kill -KILL $editing
wait $editing 2>/dev/null
until_true nothing_runs 'sleep 3612' || wrong "the command goes on after its edit was killed"
nothing_left "an edit that was killed" 3
# A person at a terminal: who says no gets nothing, who says yes a version.
person() {
    printf '%s\t%s\n' '# ' 'cd /; echo typed >/etc/typed; echo $((40+2))' 42 'exit 0' '[y/N]' "$1" |
        "$(dirname "$0")/at_terminal.py" "$QA" -c "$root/node.conf" di edit di_id=1 >"$root/out"
}
person n || wrong "giving an edit up is an error"
nothing_left "an edit that was given up" 3
person y || wrong "a person's edit fails"
[ "$(inside 4 etc/typed)" = typed ] || wrong "what was typed is not there"
nothing_left "a person's edit" 4
# What no node would unpack is not unpacked here.
mkdir "$root/evil" && ln -s / "$root/evil/proc" && echo x >"$root/evil/x"
tar -C "$root/evil" -cPf "$root/evil.tar" x --transform 's,^x,../x,'
expect 0 di add path="$root/evil.tar" osf=desk
expect 2 di edit di_id=5 -- true
complains 'cannot be unpacked'
nothing_left "an image that is hostile" 5
# A disk is edited in a virtual machine, which takes a minute without KVM.
if [ -n "${QVD_TEST_EVERYTHING:-}" ] && [ -r "${QVD_TEST_DISK:-}" ]; then
    expect 0 di add path="$QVD_TEST_DISK" osf=disk
    expect 0 di edit di_id=6 -- sh -c 'echo edited >/etc/motd; ip route; id -un'
    complains '^root'
    complains '^default via 10.0.2.2'
    expect 1 di edit di_id=7 -- sh -c 'cat /etc/motd; exit 9'
    complains '^edited'
    complains 'ended with status 9'
    nothing_left "a disk's edits" 7
fi
[ $bad = 0 ] && echo "qa di build and qa di edit: ok"
exit $bad
