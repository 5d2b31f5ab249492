#!/bin/sh
# The real qa against an embedded database of its own: what it prints, its JSON, its exit codes.
# qa_test.sh QA QVD-DEPLOY-DB PLUGINS CRASHING-PLUGIN
set -u
QA=$1 DEPLOY=$2 PLUGINS=$3 CRASHING=$4
# shellcheck source=farm.sh
. "$(dirname "$0")/farm.sh"

# says PYTHON: an expression about `it`, the parsed JSON.
says() {
    python3 -c "import json,sys; it=json.load(open('$root/out')); sys.exit(not ($1))" ||
        wrong "not so: $1"
}
# columns OBJECT COMMAND WORDS: the header of its table. The manual's, and behind them what it lacks.
columns() {
    expect 0 "$1" "$2"
    head=$(head -n 1 "$root/out" | tr -s ' ' | sed 's/ *$//')
    [ "$head" = "$3" ] || wrong "the columns of $1 $2 are \"$head\""
}

# Without a database the doctor still speaks, and starts nothing.
expect 1 doctor
prints '^FAIL  database:'
prints '^      → '
[ ! -e "$root/database" ] || wrong "the doctor made a database"
expect 1 doctor --json
says "it['ok'] is False and any(c['check']=='l7r.port' and c['result']=='problem' for c in it['checks'])"
expect 2 doctor everything
"$QA" -c "$root/none.conf" doctor >"$root/out" 2>&1
prints '^FAIL  configuration.file:'

"$QA" -c "$root/node.conf" --version >"$root/out" || wrong "--version"
"$DEPLOY" -c "$root/node.conf" >"$root/out" 2>"$root/err"
expect 0 host add name=n1 address=10.3.15.1
expect 4 host add name=n1 address=10.3.15.1
columns host list "Id Name Address HKD Usable RAM Usable CPU VMs assigned Blocked State Reason"
columns host counters "Id Name HTTP Requests Auth attempts Auth OK NX attempts NX OK Short sessions"
expect 0 -q host list
prints '^[0-9]* *n1 '

expect 0 osf add name=office memory=1G
expect 2 osf add memory=1G
complains 'name= is missing'
expect 2 osf add name=x color=red --json
says "it['error']=='usage'"
expect 2 osf
expect 0 osf --help
prints 'qa osf add'
columns osf list "Id Name RAM Overlay UserHD"
prints '^[0-9]* *office *1024 *yes *-$'
expect 0 osf list --json
says "it[0]['use_overlay'] is True and it[0]['user_storage_size']==0"
expect 2 osf add name=a,b
expect 2 osf add name=a memory=lots
expect 0 vm add --help
prints ' (user=...|user_id=...) (osf=...|osf_id=...) \[ip=...\]'
prints '^  name     unique$'
expect 2 osf list -f 'name=x,"col\our=1' --json
says "it['error']=='filter.key' and 'col' in it['sentence']"

columns vm list "Id Name User Ip OSF DI_Tag DI Host State UserState Blocked Reason"
columns di list "Id OSF Version Path Tags State Size VMs Running"
columns host load "Id Name HKD CPUs CPU % RAM RAM used RAM promised VMs State"
columns user list "Id Login"
expect 0 user add login=Bob password=secret
expect 2 user add login=carl
complains 'no password'
printf 'geheim\n' | "$QA" -c "$root/node.conf" user passwd user=bob >"$root/out" 2>"$root/err" ||
    wrong "user passwd from stdin"
expect 3 user passwd user=nobody password=x
columns operator list "Id Name Role Blocked"
expect 0 operator add name=ann role=operator password=secret
expect 4 operator add name=ann password=secret
expect 2 operator add name=ben role=chief password=secret
complains 'administrator, operator and observer'
printf 'geheim\n' | "$QA" -c "$root/node.conf" operator passwd name=ann >"$root/out" 2>"$root/err" ||
    wrong "operator passwd from stdin"
expect 0 operator edit -f name=ann blocked=yes
expect 0 operator list --json
says "it[0]['name']=='ann' and it[0]['role']=='operator' and it[0]['blocked'] is True and 'password' not in it[0]"
expect 0 operator del -f name=ann
# Ways into a VM: one VM that runs, on a node that answers.
expect 3 vm console -f name=nobody
expect 2 vm console -f id=1 --node :99
complains 'names no host'
expect 2 vm console -f id=1 --node localhost:99
complains 'QVDPASSWORD'
QVDPASSWORD=x expect 5 vm ssh -f id=1 --node 127.0.0.1:1 --operator ann
expect 2 vm vnc -f id=1 port=none
expect 2 vm list --node localhost
complains 'takes no --node'
# On a terminal it is asked for twice; two that differ change nothing.
printf 'New password: \tone\nAgain: \ttwo\n' |
    "$(dirname "$0")/at_terminal.py" "$QA" -c "$root/node.conf" user passwd user=bob >"$root/out"
[ $? = 2 ] && grep -q differ "$root/out" && ! grep -q one "$root/out" || wrong "two passwords that differ"

expect 0 vm add name=desk user=bob osf=office
complains 'Warning: no image'
expect 2 vm add name=desk2 user=bob user_id=1 osf=office
complains 'give either user= or user_id='
expect 2 vm add name=desk2 user=bob
complains 'give either osf= or osf_id='
expect 0 vm show -f name=desk
prints '^reason '
expect 0 vm list --json
says "it[0]['name']=='desk' and it[0]['ip']=='10.3.15.254' and it[0]['blocked'] is False"
expect 3 vm show -f name=other
echo image >"$root/image.txt"
expect 2 di add path="$root/image.txt" osf=office
complains 'image.txt is a text'
expect 0 di add path="$root/image.txt" osf=office --force
expect 0 di del -f version=* --purge
prints '^1 image deleted$'
[ -z "$(ls -A "$root/storage/images")" ] || wrong "di del --purge left the file"
expect 2 osf list --purge
complains 'takes no --purge'
tar -C "$root" -cf "$root/image.tar" image.txt
expect 0 di add path="$root/image.tar" osf=office
expect 2 di tag di_id=one tag=x
expect 3 di add path="$root/none.tar" osf=office
[ "$(ls -A "$root/storage/images" | wc -l)" = 1 ] || wrong "a failed di add left something"
expect 0 di list --json
says "it[0]['state']=='ready' and it[0]['size']==$(stat -c %s "$root/image.tar") and it[0]['vms']==1"
# What was copied is what was there; another disk is none for containers.
expect 2 di add path="$root/image.tar" osf=office sha256=00
complains 'sha256 is '
expect 0 -q di add path="$root/image.tar" osf=office sha256="$(sha256sum "$root/image.tar" | cut -c1-64)"
printf 'QFI\373' >"$root/disk.qcow2"
expect 2 di add path="$root/disk.qcow2" osf=office --json
says "it['error']=='image.hypervisor' and 'lxc' in it['sentence']"
# A progress line on a terminal, and nowhere else.
"$(dirname "$0")/at_terminal.py" "$QA" -c "$root/node.conf" di add path="$root/image.tar" osf=office >"$root/out" </dev/null ||
    wrong "no image can be added at a terminal"
grep -q '(100 %)' "$root/out" || wrong "no progress on a terminal"
# A copy that is killed goes on where it was, and nobody sees it before.
head -c 200000000 /dev/zero >"$root/big.tar" && printf ustar | dd of="$root/big.tar" bs=1 seek=257 conv=notrunc status=none
"$QA" -c "$root/node.conf" di add path="$root/big.tar" osf=office >"$root/out" 2>"$root/err" &
copying=$!
until [ "$(stat -c %s "$root"/storage/images/.incoming-* 2>/dev/null || echo 0)" -gt 20000000 ]; do
    kill -0 $copying 2>/dev/null || break
done
kill -KILL $copying 2>/dev/null
wait $copying 2>/dev/null
if [ $? = 137 ]; then
    [ "$(ls "$root"/storage/images/*-big.tar 2>/dev/null | wc -l)" = 0 ] || wrong "half an image is seen"
    expect 0 di list -f path=*big* --json
    says "it == []"
else
    echo "the copy was done before it could be killed" >&2
    expect 0 di del -f path=*big* --purge
fi
expect 0 di add path="$root/big.tar" osf=office
[ "$(ls -A "$root"/storage/images | grep -c incoming)" = 0 ] || wrong "di add left its copy behind"
cmp -s "$root/big.tar" "$root"/storage/images/*-big.tar || wrong "the image is not what was given"
expect 0 di del -f path=*big* --purge
rm "$root/big.tar"
expect 0 vm block -f name=desk
prints '^1 VM blocked$'
expect 0 vm list -f blocked=yes,host=- --json
says "len(it)==1"
# What cannot be done of all that was meant is refused, whichever command it is.
for command in stop disconnect_user; do
    expect 4 vm $command -f name=desk
    prints 'left alone: vm desk: '
done
expect 2 vm edit -f name=desk
complains 'nothing is to be changed'
expect 0 osf edit -f name=office memory=2G user_storage_size=1G
prints '^1 OSF edited$'
expect 0 osf list -f name=office,memory=2048 --json
says "len(it)==1 and it[0]['user_storage_size']==1024"
expect 2 osf edit --force memory=1
complains 'at least 16 MiB'
expect 0 vm list --usage
prints '^Id *Name *Host *State *CPU % *CPU s *RAM used *RAM *Expire soft *Expire hard$'

# Properties: the manual's example, and what becomes of it.
expect 0 user propset beverage=beer room= -F login=bob
prints '^1 user given properties$'
expect 0 user propget
prints '^bob	beverage=beer$'
expect 0 -q user propget room
prints '^bob	room=$'
expect 0 user propget beverage --json
says "it==[{'id':it[0]['id'],'name':'bob','key':'beverage','value':'beer'}]"
echo n | "$QA" -c "$root/node.conf" user propdel beverage >"$root/out" 2>"$root/err" || wrong "saying no failed"
complains 'Are you sure that you want to delete properties of all users?'
expect 2 user propset a=b
complains 'nobody answered'
expect 0 user propdel beverage -f login=bob
prints '^1 user without them now$'
expect 0 user propget beverage
[ ! -s "$root/out" ] || wrong "a deleted property is still there"
expect 3 vm propset a=b -f name=none
expect 2 osf propset -f name=office
complains 'at least one KEY=VALUE'
expect 0 osf propset vm.hypervisor=lxcc -f name=office
complains 'Warning: .*there is no hypervisor "lxcc"'
expect 0 osf propdel --force
for object in host di vm; do
    expect 0 $object propset place=here --force
    expect 0 $object propget place
    prints '	place=here$'
done

# Image ageing: what a time comes to is printed.
expect 2 di tag di_id=1 tag=default expire-soft=soon
complains '"soon" is not a time'
expect 0 -q di add path="$root/image.tar" osf=office
expect 0 di add path="$root/image.tar" osf=office expire-hard="next sat"
prints '^0 VMs run an older image and will expire (soft: never, hard: 20[0-9-]* [0-9:]* [A-Z]'
expect 0 vm edit -f name=desk expire-soft=now --json
says "it['count']==1 and it['expiring']==0 and it['expire_hard'] is None and it['expire_soft'].endswith('Z')"
# Nobody takes the order: the waiting ends, the order stays.
expect 2 vm start -f name=desk timeout=1
complains 'goes with --wait'
expect 2 vm start -f name=desk --wait timeout=soon
expect 2 vm list --all
expect 2 vm start -f nothing --json
says "it['error']=='filter.syntax'"

# Deleting: asked for where nobody can answer, refused where it is in use, told either way.
expect 2 user del
complains 'force'
expect 4 user del --force
prints 'left alone: user bob'
expect 4 osf del -f name=office --json
says "it['count']==0 and it['skipped']==1"
echo n | "$QA" -c "$root/node.conf" vm del >"$root/out" 2>"$root/err" || wrong "saying no failed"
complains 'Are you sure that you want to delete all VMs?'
expect 0 vm list --json
says "len(it)==1"

expect 0 config set hkd.vm.starting.max=3
expect 0 config get hkd.vm.starting.max
prints '^hkd.vm.starting.max=3$'
expect 0 config set myproperty="this is a=value"
prints '^1 key set$'
expect 0 config get myproperty
prints '^myproperty=this is a=value$'
expect 0 config list
prints '^myproperty *this is a=value *database'
prints '^vm.network.bridge.create *- *- '
expect 0 config get
prints '^myproperty='
if grep -q '^internal\.' "$root/out"; then wrong "config get shows internal keys"; fi
expect 0 config get --all
prints '^internal\.vm\.lxc\.'
expect 0 config list --help
prints '\[--all\]'
expect 2 config set nodename=x
complains nodename
# A text of the wrong form, and a plugin that is not there.
expect 2 config set vm.network.gateway=x
complains 'it must be an IPv4 address'
expect 2 config set l7r.auth.plugins=nonexistent
complains 'there is no authenticator "nonexistent"'
complains 'installed authenticators: default'
expect 2 config set vm.hypervisor=weighted
expect 0 config get l7r.auth.plugins
prints '^l7r.auth.plugins=default$'
expect 0 config set l7r.auth.plugins=nonexistent --force
complains 'there is no authenticator "nonexistent"'
expect 0 config del l7r.auth.plugins
expect 0 config set vm.hypervisor=lxc
# The old name of a key.
expect 0 config set internal.hkd.lxc.timeout.on_state.zombie.reap.delaying=5
expect 0 config get internal.hkd.vm.timeout.on_state.zombie_2
prints '^internal.hkd.vm.timeout.on_state.zombie_2=5$'
# What an OSF gets that is added with a name alone.
expect 0 config set osf.default.memory=384 osf.default.overlay=0
expect 0 osf add name=plain
expect 0 osf list -f name=plain --json
says "it[0]['memory']==384 and it[0]['use_overlay'] is False"
expect 0 osf del -f name=plain
# A file that crashes who loads it is no obstacle.
mkdir "$root/plugins"
ln -s "$PLUGINS"/qvd-*.so "$root/plugins"
ln -s "$CRASHING" "$root/plugins"
sed "s,^path.plugins.*,path.plugins = $root/plugins," "$root/node.conf" >"$root/crashing.conf"
"$QA" -c "$root/crashing.conf" config get vm.lxc.init >"$root/out" 2>"$root/err" ||
    wrong "a crashing plugin takes qa down"
prints '^vm.lxc.init=/sbin/init$'
expect 3 config get hkd.vm.starting.mux
complains 'did you mean'
expect 0 config list --json
says "all('value' in row for row in it)"
openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=n1 -keyout "$root/key.pem" \
    -out "$root/cert.pem" 2>/dev/null
chmod 644 "$root/key.pem"
expect 0 config ssl key="$root/key.pem" cert="$root/cert.pem"
complains 'every user of this machine can read the key'
chmod 600 "$root/key.pem"
expect 0 config ssl key="$root/key.pem" cert="$root/cert.pem"
if grep -q Warning "$root/err"; then wrong "there is a warning of a key that only root can read"; fi
expect 2 config ssl key="$root/cert.pem" cert="$root/cert.pem"
printf -- '-----BEGIN CERTIFICATE-----\nx\n' >"$root/broken.pem"
expect 2 config ssl key="$root/key.pem" cert="$root/cert.pem" ca="$root/broken.pem"
complains 'l7r.ssl.ca holds no PEM certificate'
expect 2 config ssl key="$root/key.pem" cert="$root/cert.pem" ca="$root/cert.pem" crl="$root/broken.pem"
complains 'l7r.ssl.crl holds no PEM revocation list'
for _ in $(seq 300); do cat "$root/cert.pem"; done >"$root/long.pem"
expect 2 config ssl key="$root/key.pem" cert="$root/cert.pem" ca="$root/long.pem"
complains 'bytes together; they may be 245760'
expect 0 config ssl key="$root/key.pem" cert="$root/cert.pem" ca="$root/cert.pem"
expect 0 config ssl key="$root/key.pem" cert="$root/cert.pem"

expect 1 doctor --json
says "any(c['check']=='certificate' and c['result']=='ok' for c in it['checks'])"
says "any(c['check']=='database.schema' and c['result']=='ok' for c in it['checks'])"
says "any(c['check']=='node.registered' and c['result']=='ok' for c in it['checks'])"
says "any(c['check']=='images' for c in it['checks'])"

# The advice names what could stand there.
expect 0 config set l7r.auth.plugins=nosuch --force
expect 1 doctor --json
says "[c['advice'] for c in it['checks'] if c['check']=='plugin.authenticator.nosuch'] == ['install it or configure another one (installed authenticators: default)']"
expect 0 config del l7r.auth.plugins
# A file that shows its password.
printf 'database.password = geheim\n' >>"$root/node.conf"
chmod 644 "$root/node.conf"
expect 1 doctor --json
says "any(c['check']=='configuration.mode' and c['result']=='warning' for c in it['checks'])"
chmod 600 "$root/node.conf"

expect 0 vm del --force
expect 0 di del --force
expect 0 osf del --force
expect 0 user del --force
expect 0 host del --force
[ $bad = 0 ] && echo "all of qa's answers are right"
exit $bad
