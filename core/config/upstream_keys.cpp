#include "config/upstream_keys.hpp"

#include "base/text.hpp"

#include <array>

namespace qvd::config {

namespace {

// `names` are separated by blanks; "x.*" is every key below x.
struct Upstream {
    std::string_view why;
    std::string_view names;
};

constexpr std::string_view notified =
    "changes are announced by the database, nothing waits and asks again";
constexpr std::string_view unused_before = "it had no effect in QVD 3.5 either";
constexpr std::string_view later = "QVD 3.5 knows it; this version does not use it";

constexpr std::array table{
    Upstream{"each role runs as a user of its own",
             "l7r.as_user hkd.as_user l7r.user.umask hkd.user.umask wat.as_user wat.user.umask"},
    Upstream{"there is one service, qvd-node, with one pid file",
             "l7r.pid_file hkd.pid_file wat.pid_file internal.hkd.lock.path "
             "internal.hkd.vm.lock.path internal.hkd.l7r.timeout.on_state.killing"},
    Upstream{"only log4perl.rootLogger and log4perl.appender.* choose level and syslog",
             "log4perl.*"},
    Upstream{"each password has a salt of its own", "l7r.auth.plugin.default.salt"},
    Upstream{"certificate and key are kept in the database: see qa config ssl",
             "l7r.ssl.key l7r.ssl.cert l7r.ssl.ca l7r.ssl.crl path.l7r.ssl path.l7r.ssl.key "
             "path.l7r.ssl.cert path.l7r.ssl.ca path.l7r.ssl.crl path.ssl.certs"},
    Upstream{"the database is reached over few lasting connections",
             "internal.database.client.* internal.database.pool.*"},
    Upstream{notified,
             "internal.l7r.poll_time.vm internal.l7r.poll_time.x internal.l7r.retry.x_start "
             "internal.hkd.agent.*"},
    Upstream{"there is no simulated hypervisor of that kind",
             "internal.l7r.nothing.timeout.* internal.hkd.nothing.timeout.*"},
    Upstream{"there is no debugger in the node", "internal.hkd.debugger.*"},
    Upstream{"each image is unpacked under a lock of its own",
             "internal.untar-dis.lock.path internal.hkd.lxc.acquire.untar.lock.delay "
             "internal.hkd.lxc.timeout.on_state.starting.setup.delaying_untar.delaying"},
    Upstream{unused_before,
             "internal.vm.port.x internal.vm.reserved_cpu internal.hkd.vmhandler.killer.delay"},
    Upstream{"the address is written into the container", "vm.network.use_dhcp"},
    Upstream{"the key is vm.network.netmask", "vm.network.ip.netmask"},
    Upstream{"containers are run through liblxc",
             "command.lxc-create command.lxc-destroy command.lxc-start command.lxc-stop "
             "command.lxc-wait command.lxc-console command.version.lxc command.qvd-lxc-autodev "
             "internal.hkd.command.timeout.lxc-stop internal.hkd.lxc.killer.* path.run.lxc"},
    Upstream{"control groups are found without it",
             "path.cgroup path.cgroup.cpu.lxc path.cgroup.cpuset.lxc path.cgroup.memory.lxc"},
    Upstream{"this needs no external command", "command.*"},
    Upstream{"it belongs into client.conf", "client.* path.client.* path.ssl.ca.personal"},
    Upstream{"it belongs into vma.conf, in the image", "vma.* internal.vma.* internal.nxagent.*"},
    Upstream{"no loaded plugin knows it",
             "auth.ldap.* auth.auto.* l7r.auth.plugin.* l7r.loadbalancer.plugin.*"},
    Upstream{later,
             "internal.l7r.short_session internal.l7r.timeout.vm_start "
             "internal.l7r.timeout.vm_stop internal.l7r.timeout.x_start internal.l7r.timeout.vma "
             "internal.l7r.timeout.takeover l7r.client.cert.require l7r.use_ssl "
             "l7r.ssl.options.SSL_version l7r.ssl.options.SSL_cipher_list "
             "model.user.login.case-sensitive"},
    Upstream{later,
             "hkd.vm.starting.max hkd.process.limit.* internal.hkd.max_heavy "
             "internal.hkd.cluster.node.timeout internal.hkd.stopping.l7rs.timeout "
             "internal.hkd.stopping.vms.timeout internal.hkd.killing.vms.retry.timeout "
             "internal.hkd.vmhandler.vma.* internal.hkd.vmhandler.vma_monitor.* "
             "internal.hkd.kvm.timeout.* internal.hkd.lxc.timeout.* "
             "internal.hkd.lxc.does.not.cleanup"},
    Upstream{later,
             "vm.overlay.persistent vm.kvm.virtio vm.kvm.cpus vm.kvm.home.drive.index "
             "vm.vnc.redirect vm.vnc.opts vm.serial.redirect vm.serial.capture "
             "vm.hypervisor.capture vm.lxc.unionfs.type vm.lxc.unionfs.bind.ro vm.lxc.cpuset.size "
             "vm.lxc.cpuset.available vm.lxc.home.per.user vm.network.domain "
             "vm.network.mac.prefix vm.network.firewall.nat.iface"},
    Upstream{later,
             "internal.vm.network.firewall.enable internal.vm.network.device.prefix "
             "internal.vm.network.dhcp-hostsfile internal.vm.port.vma internal.vm.port.ssh "
             "internal.vm.monitor.redirect internal.vm.debug.enable internal.vm.lxc.conf.extra "
             "osf.default.memory osf.default.overlay"},
    Upstream{later,
             "path.storage.check path.storage.btrfs.root path.storage.overlayfs "
             "path.storage.rootfs path.ssl.ca.system path.ssl.ca.system.path "
             "path.ssl.ca.system.file path.serial.captures path.hypervisor.captures "
             "path.usb.database wat.* admin.ssh.opt.*"},
};

}  // namespace

std::string_view known_without_effect(std::string_view name) {
    for (const Upstream& upstream : table)
        for (const std::string& pattern : text::split_list(upstream.names, ' '))
            if (text::matches_wildcard(pattern, name)) return upstream.why;
    return {};
}

}  // namespace qvd::config
