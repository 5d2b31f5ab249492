#include "config/upstream_keys.hpp"

#include "base/text.hpp"

#include <array>

namespace qvd::config {

namespace {

// `names` are separated by blanks; "x.*" is every key below x. A row does not count for the program
// whose own keys begin with `owner`.
struct Upstream {
    std::string_view why;
    std::string_view names;
    std::string_view owner = {};
};

constexpr std::string_view notified =
    "changes are announced by the database, nothing waits and asks again";
constexpr std::string_view unused_before = "it had no effect in QVD 3.5 either";
constexpr std::string_view later = "QVD 3.5 knows it; this version does not use it";

// A name listed by itself counts, else the first row that fits. No row may name a key that is
// declared: a test sees to it.
constexpr std::array table{
    Upstream{"each role runs as a user of its own",
             "l7r.as_user hkd.as_user l7r.user.umask hkd.user.umask wat.as_user wat.user.umask"},
    Upstream{"there is one service, qvd-node, with one pid file",
             "l7r.pid_file hkd.pid_file wat.pid_file internal.hkd.lock.path "
             "internal.hkd.vm.lock.path internal.hkd.l7r.timeout.on_state.killing "
             "internal.hkd.stopping.l7rs.timeout"},
    Upstream{"all roles of a node write into one log, log.filename",
             "l7r.log.filename hkd.log.filename"},
    Upstream{"of log4perl only log4perl.rootLogger and log4perl.appender.SYSLOG count here; the "
             "log's file is log.filename, and rotating it is logrotate's business",
             "log4perl.*"},
    Upstream{"certificate and key are kept in the database: see qa config ssl",
             "l7r.ssl.key l7r.ssl.cert l7r.ssl.ca l7r.ssl.crl path.l7r.ssl path.l7r.ssl.key "
             "path.l7r.ssl.cert path.l7r.ssl.ca path.l7r.ssl.crl path.ssl.certs"},
    Upstream{"clients connect by TLS 1.2 or 1.3 and by nothing older; the ciphers of TLS 1.2 are "
             "l7r.ssl.options.SSL_cipher_list",
             "l7r.ssl.options.SSL_version"},
    Upstream{"the database is reached over few lasting connections",
             "internal.database.client.* internal.database.pool.*"},
    Upstream{notified,
             "internal.l7r.poll_time.vm internal.l7r.poll_time.x internal.hkd.agent.ticker.timeout "
             "internal.hkd.agent.command_handler.delay internal.hkd.agent.l7rkiller.delay "
             "internal.hkd.agent.l7rmonitor.delay internal.hkd.agent.cluster_monitor.* "
             "internal.hkd.agent.dhcpdhandler.delay"},
    Upstream{"there is no simulated hypervisor of that kind",
             "internal.l7r.nothing.timeout.* internal.hkd.nothing.timeout.*"},
    Upstream{"there is no debugger in the node", "internal.hkd.debugger.*"},
    Upstream{"each image is unpacked under a lock of its own",
             "internal.untar-dis.lock.path internal.hkd.lxc.acquire.untar.lock.delay "
             "internal.hkd.lxc.timeout.on_state.starting.setup.delaying_untar.delaying"},
    Upstream{"a VM that does not shut down in time gets TERM, and KILL after "
             "internal.hkd.vm.timeout.on_state.zombie_1",
             "internal.hkd.lxc.timeout.on_state.stopping.stop.waiting_for_lxc "
             "internal.hkd.kvm.timeout.on_state.stopping.stop.waiting_for_kvm"},
    Upstream{"a state that the database did not take is written again as soon as it answers",
             "internal.hkd.lxc.timeout.on_state.zombie.config.delaying "
             "internal.hkd.lxc.timeout.on_state.zombie.db.delaying "
             "internal.hkd.kvm.timeout.on_state.zombie.config.delaying "
             "internal.hkd.kvm.timeout.on_state.zombie.db.delaying"},
    Upstream{"what a container leaves behind is always removed; its console output stays in "
             "path.run/vm, and internal.vm.debug.enable keeps a VM whose agent does not answer",
             "internal.hkd.lxc.does.not.cleanup"},
    Upstream{"a container is limited by the memory of its OSF and vm.lxc.processes.max, and one of "
             "its own by vm.lxc.conf.extra (lxc.prlimit.NAME)",
             "hkd.process.limit.*"},
    Upstream{"containers share all processors by weight (vm.lxc.cpu.shares); vm.lxc.cpuset binds "
             "them to some",
             "vm.lxc.cpuset.size vm.lxc.cpuset.available"},
    Upstream{unused_before,
             "internal.vm.port.x internal.vm.reserved_cpu internal.hkd.vmhandler.killer.delay"},
    Upstream{"the key is vm.network.netmask", "vm.network.ip.netmask"},
    Upstream{"containers are run through liblxc",
             "command.lxc-create command.lxc-destroy command.lxc-start command.lxc-stop "
             "command.lxc-wait command.lxc-console command.version.lxc command.qvd-lxc-autodev "
             "internal.hkd.command.timeout.lxc-stop internal.hkd.lxc.killer.* path.run.lxc"},
    Upstream{"control groups are found without it",
             "path.cgroup path.cgroup.cpu.lxc path.cgroup.cpuset.lxc path.cgroup.memory.lxc"},
    Upstream{later,
             "vma.sshfs.extra_args vma.usb.usbip.debug vma.usb.usbip.log command.sshfs "
             "command.sftp-server command.open_file internal.vma.printing.config "
             "internal.vma.on_printing.*"},
    Upstream{"it belongs into vma.conf, in the image",
             "vma.* internal.vma.* internal.nxagent.* command.nxagent command.nxagent.* "
             "command.nxdiag command.x-session command.x-session.* command.xinit command.useradd "
             "command.userdel command.groupadd command.groupdel command.poweroff command.x11vnc",
             "vma."},
    Upstream{"it belongs into client.conf",
             "client.* path.client.* path.ssl.ca.personal command.nxproxy command.xhost "
             "command.xhost.* command.windows.* command.darwin.* command.usbsrv command.usbclnt "
             "command.usbip command.slaveclient",
             "client."},
    Upstream{"virtual machines are run through libvirt, which has time-outs and logs of its own",
             "command.kvm command.kvm-img internal.hkd.kvm.timeout.* vm.hypervisor.capture "
             "path.hypervisor.captures internal.vm.monitor.redirect"},
    Upstream{"the node does this itself and runs no such program",
             "command.tar command.mount command.umount command.rm command.modprobe command.brctl "
             "command.ifconfig command.ip command.ebtables command.iptables command.dhcpd "
             "command.btrfs command.version.mount.overlayfs command.qvd-l7r-slave "
             "command.*.args.extra",
             "vma."},
    Upstream{"no loaded plugin knows it",
             "auth.ldap.* auth.auto.* l7r.auth.plugin.* l7r.loadbalancer.plugin.*"},
    Upstream{"the network has no DHCP server of the node's: addresses are written into VMs",
             "internal.vm.network.dhcp-hostsfile"},
    Upstream{later,
             "internal.hkd.max_heavy internal.hkd.cluster.node.timeout internal.hkd.lxc.timeout.* "
             "internal.vm.port.ssh path.storage.check path.ssl.ca.system path.ssl.ca.system.path "
             "path.ssl.ca.system.file path.usb.database wat.* admin.ssh.opt.*"},
};

bool is_own(const Upstream& upstream, const KeySet& keys) {
    const auto first = keys.all().lower_bound(upstream.owner);
    return !upstream.owner.empty() && first != keys.all().end() &&
           first->first.starts_with(upstream.owner);
}

}  // namespace

KnownKey known_without_effect(std::string_view name, const KeySet& keys) {
    KnownKey known;
    for (const Upstream& upstream : table) {
        if (is_own(upstream, keys)) continue;
        for (const std::string& pattern : text::split_list(upstream.names, ' ')) {
            if (pattern == name) return {upstream.why, true};
            if (known.why.empty() && text::matches_wildcard(pattern, name))
                known.why = upstream.why;
        }
    }
    return known;
}

std::vector<std::string> names_without_effect() {
    std::vector<std::string> names;
    for (const Upstream& upstream : table)
        for (std::string& name : text::split_list(upstream.names, ' '))
            if (name.find('*') == std::string::npos) names.push_back(std::move(name));
    return names;
}

}  // namespace qvd::config
