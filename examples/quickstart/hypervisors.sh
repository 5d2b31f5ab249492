# shellcheck shell=bash
# What `up` and `down` do differently for each hypervisor. Source it after common.sh, with ROOT, RUN
# and HYPERVISOR set.
#
#   hypervisor_packages    the list of the packages it needs besides the others'
#   hypervisor_image       the name of the desktop image in ROOT
#   hypervisor_settings    its part of node.conf
#   hypervisor_patience    after how many seconds a desktop that does not appear never will
#   hypervisor_start       what must run or be mounted before the node; may be repeated
#   hypervisor_end         undoes that, and ends what a node that cannot be asked any more has left

HYPERVISORS='lxc-unionfs, lxc-btrfs, kvm'
# With this the names of the farm's containers and virtual machines begin.
NAMES=quickstart-

is_hypervisor() { case $1 in lxc-unionfs | lxc-btrfs | kvm) ;; *) return 1 ;; esac; }

hypervisor_packages() {
    case $HYPERVISOR in
    kvm | lxc-btrfs) echo "$TOP/examples/quickstart/packages-$HYPERVISOR.txt" ;;
    esac
}

hypervisor_image() {
    case $HYPERVISOR in
    kvm) echo desktop.qcow2 ;;
    *) echo desktop.tar.zst ;;
    esac
}

hypervisor_settings() {
    echo "vm.hypervisor = $HYPERVISOR"
    case $HYPERVISOR in
    lxc-*) echo "internal.vm.lxc.name.prefix = $NAMES" ;;
    esac
    case $HYPERVISOR in
    lxc-btrfs) echo "path.storage.btrfs.root = $ROOT/btrfs" ;;
    kvm)
        echo "internal.vm.kvm.name.prefix = $NAMES"
        echo "path.kvm.state = $ROOT/kvm"
        is_systemd || echo "vm.kvm.uri = qemu+unix:///system?socket=$RUN/libvirt/libvirt-sock"
        ;;
    esac
}

hypervisor_patience() {
    case $HYPERVISOR in
    kvm) echo 400 ;;
    *) echo 120 ;;
    esac
}

hypervisor_start() {
    case $HYPERVISOR in
    lxc-btrfs) mount_btrfs ;;
    kvm) start_libvirtd ;;
    esac
}

hypervisor_end() {
    case $HYPERVISOR in
    kvm) end_machines ;;
    esac
}

# A file with a btrfs in it; it takes as much of the disk as it holds.
mount_btrfs() {
    if [ ! -e "$ROOT/btrfs.disk" ]; then
        rm -f "$ROOT/btrfs.new"
        truncate -s 20G "$ROOT/btrfs.new"
        mkfs.btrfs -q "$ROOT/btrfs.new" >"$ROOT/btrfs.log" 2>&1 ||
            die "no btrfs can be made: $(tail -n 1 "$ROOT/btrfs.log")"
        mv "$ROOT/btrfs.new" "$ROOT/btrfs.disk"
    fi
    mkdir -p "$ROOT/btrfs"
    mountpoint -q "$ROOT/btrfs" || mount -o loop "$ROOT/btrfs.disk" "$ROOT/btrfs" ||
        die "this machine cannot mount a btrfs from a file (kernel module btrfs, /dev/loop*)"
}

is_systemd() { [ -d /run/systemd/system ]; }

# The machine's libvirtd where systemd runs it, else one of our own (libvirt.sh).
start_libvirtd() {
    if is_systemd; then
        systemctl start libvirtd.service || die "libvirtd does not start: see systemctl status libvirtd"
        return
    fi
    ! is_process_of libvirtd "$RUN/libvirt/pid" || return 0
    say "starting a libvirtd of its own: no systemd runs one here"
    mkdir -p "$RUN/libvirt"
    rm -f "$RUN/libvirt/libvirt-sock"
    # shellcheck disable=SC2016  # the inner shell's words
    setsid unshare --mount --propagation slave bash -c \
        '. "$1/libvirt.sh" && libvirt_folders && echo $$ >"$2/pid" && libvirt_run "$2"' \
        bash "$TOP/examples/quickstart" "$RUN/libvirt" >"$ROOT/log/libvirtd.out" 2>&1 </dev/null &
    until_true 30 test -S "$RUN/libvirt/libvirt-sock" ||
        die "libvirtd does not start: $(tail -n 3 "$ROOT/log/libvirtd.out")"
}

# is_process_of NAME PIDFILE: whether the process of that pid runs, and has that name.
is_process_of() { [ "$(cat "/proc/$(cat "$2" 2>/dev/null)/comm" 2>/dev/null)" = "$1" ]; }

# Pids of guests whose domain is of the farm.
machines() { pgrep -f '^[^ ]*qemu-system[^ ]* .*-name guest='"$NAMES" || true; }
no_machines() { [ -z "$(machines)" ]; }

end_machines() {
    local left
    left=$(machines)
    if [ -n "$left" ]; then
        say "killing the virtual machines that are left: ${left//$'\n'/ }"
        # shellcheck disable=SC2086  # one argument a process
        kill -KILL $left 2>/dev/null || true
        until_true 20 no_machines || die "these do not end: $(machines | tr '\n' ' ')"
    fi
    if is_process_of libvirtd "$RUN/libvirt/pid"; then
        kill "$(cat "$RUN/libvirt/pid")"
        until_true 20 eval '! is_process_of libvirtd "$RUN/libvirt/pid"' || die "libvirtd does not end"
    fi
}
