// Every sentence of the doctor about a machine that lacks something: each lack is made here, in a
// folder that stands for /proc, /sys and /dev, in a namespace, or without the right to ask.
#include "tests/admin/doctor_rig.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace fs = std::filesystem;
using namespace qvd;
using namespace qvd::admin::doctor;
using namespace qvd::admin::doctor::test;

TEST_CASE("a kernel without what containers need is told so, each thing by name") {
    const Folder folder;
    folder.write("proc/filesystems", "nodev\tproc\n\text4\n");
    folder.write("proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
    folder.write("proc/sys/user/max_user_namespaces", "0\n");
    const config::View view = view_of("internal.vm.network.firewall.enable = 0\n");
    const auto bare = check_kernel(view, folder.machine());
    InUse overlays;
    overlays.hypervisors = {"lxc-unionfs"};
    overlays.unions = {"overlayfs"};
    says(named(check_containers(view, overlays, folder.machine()), "kernel.overlayfs"),
         Level::problem, "no overlayfs");
    // A module is loaded when it is first asked for.
    folder.write("proc/sys/kernel/osrelease", "6.1.0-35-cloud-amd64\n");
    folder.write("usr/lib/modules/6.1.0-35-cloud-amd64/modules.dep",
                 "kernel/fs/overlayfs/overlay.ko:\n");
    says(named(check_containers(view, overlays, folder.machine()), "kernel.overlayfs"), Level::good,
         "");
    fs::remove(folder.at("proc/sys/kernel/osrelease"));
    says(named(bare, "kernel.cgroup"), Level::problem, "no memory controller");
    says(named(bare, "kernel.br_netfilter"), Level::warning, "through iptables");
    says(named(check_containers(view, overlays, folder.machine()), "kernel.fuse"), Level::warning,
         "/dev/fuse is missing");
    says(named(bare, "kernel.userns"), Level::good, "not allowed");

    folder.write("proc/filesystems", "nodev\toverlay\n");
    folder.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    folder.write("proc/sys/net/bridge/bridge-nf-call-iptables", "0\n");
    folder.write("proc/sys/user/max_user_namespaces", "5000\n");
    folder.write("dev/fuse", "");
    const auto fit = check_kernel(view, folder.machine());
    for (const char* const name : {"cgroup", "br_netfilter", "userns"})
        says(named(fit, std::string("kernel.") + name), Level::good, "");
    for (const char* const name : {"overlayfs", "fuse"})
        says(named(check_containers(view, overlays, folder.machine()),
                   std::string("kernel.") + name),
             Level::good, "");
    CHECK(named(fit, "kernel.cgroup").sentence.find("v2") != std::string::npos);

    folder.write("sys/fs/cgroup/cgroup.controllers", "cpu\n");
    folder.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1\n");
    says(named(check_kernel(view, folder.machine()), "kernel.cgroup"), Level::good, "v1");
}

TEST_CASE("nftables that cannot be used are a problem, unless the node makes no firewall" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const auto refused = apart(without_capabilities, [] { return check_kernel(view_of("")); });
    const Diagnosis firewall = named(refused, "kernel.nftables");
    says(firewall, Level::problem, "nftables cannot be used");
    CHECK(firewall.advice.find("internal.vm.network.firewall.enable = 0") != std::string::npos);
    const auto unneeded = apart(without_capabilities, [] {
        return check_kernel(view_of("internal.vm.network.firewall.enable = 0\n"));
    });
    says(named(unneeded, "kernel.nftables"), Level::good, "makes no firewall");
}

TEST_CASE("devices that cannot be made are a problem" * doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const auto refused = apart(without_capabilities, [] { return check_kernel(view_of("")); });
    for (const char* const kind : {"veth", "bridge"})
        says(named(refused, std::string("kernel.") + kind), Level::problem,
             "no " + std::string(kind) + " device can be made");
}

TEST_CASE("what only root may ask is not called well" * doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    constexpr uid_t nobody = 65534;
    const auto asked =
        apart([] { return ::setuid(nobody) == 0; }, [] { return check_kernel(view_of("")); });
    for (const char* const name : {"kernel.nftables", "kernel.veth", "kernel.bridge"})
        says(named(asked, name), Level::warning, "needs root");
}

TEST_CASE("a program that is missing, cannot be loaded, hangs or crashes is named with its path") {
    const Folder folder;
    const config::View view = view_of("path.qvd.bin = " + folder.at("bin") + "\n");
    InUse use;
    use.hypervisors = {"lxc-btrfs"};
    const auto none = check_programs(view, use, false);
    says(named(none, "program.qvd-lxc-keeper"), Level::problem, "is missing: no container");
    says(named(none, "program.qvd-unpack"), Level::problem, "is missing: no image");
    CHECK(named(none, "program.qvd-unpack").advice.find("path.qvd.bin") != std::string::npos);

    folder.write("bin/qvd-lxc-keeper", "#!/bin/sh\nexit 2\n", 0755);
    // As the dynamic loader says it.
    folder.write("bin/qvd-lxc-container",
                 "#!/bin/sh\necho 'error while loading shared libraries: liblxc.so.1' >&2\n"
                 "exit 127\n",
                 0755);
    folder.write("bin/qvd-unpack", "#!/bin/sh\nkill -SEGV $$\n", 0755);
    const auto broken = check_programs(view, use, false);
    says(named(broken, "program.qvd-lxc-keeper"), Level::good, "can be run");
    says(named(broken, "program.qvd-lxc-container"), Level::problem, "liblxc.so.1");
    CHECK(named(broken, "program.qvd-lxc-container").advice == "apt-get install liblxc1");
    says(named(broken, "program.qvd-unpack"), Level::problem, "signal 11");

    folder.write("bin/qvd-unpack", "not a program\n", 0755);
    says(named(check_programs(view, use, false), "program.qvd-unpack"), Level::problem,
         "cannot execute");
    folder.write("bin/qvd-unpack", "#!/bin/sh\nexec /bin/sleep 60\n", 0755);
    says(named(check_programs(view, use, false), "program.qvd-unpack"), Level::problem,
         "within 5 s");
}

TEST_CASE("a node without containers is told nothing of what containers need") {
    const Folder folder;
    const config::View view = view_of("path.qvd.bin = " + folder.at("bin") + "\n");
    InUse use;
    use.hypervisors = {"kvm"};
    for (const Diagnosis& one : check_programs(view, use, false))
        CHECK_MESSAGE(one.sentence.find("container") == std::string::npos, one.sentence);
    CHECK(check_containers(view, use, folder.machine()).empty());
    use.hypervisors = {"lxc-btrfs"};
    CHECK(check_guests(view, use, folder.machine()).empty());
}

TEST_CASE(
    "where AppArmor is on, containers need its parser, unless their profile is there already") {
    const Folder folder;
    InUse use;
    use.hypervisors = {"lxc-btrfs"};
    const auto look = [&](const std::string& text = {}) {
        return named(check_containers(view_of(text), use, folder.machine()),
                     "program.apparmor_parser");
    };
    says(look(), Level::good, "AppArmor is off");
    folder.write("sys/module/apparmor/parameters/enabled", "N\n");
    says(look(), Level::good, "AppArmor is off");
    folder.write("sys/module/apparmor/parameters/enabled", "Y\n");
    says(look(), Level::problem, "no container can start");
    CHECK(look().advice.starts_with("apt-get install apparmor"));
    says(look("vm.lxc.apparmor.profile = unconfined\n"), Level::good, "the AppArmor profile");
    folder.write("usr/sbin/apparmor_parser", "", 0755);
    says(look(), Level::good, "AppArmor confines containers");
}

TEST_CASE("a node with virtual machines is told which of their packages is missing") {
    const Folder folder;
    InUse use;
    use.hypervisors = {"kvm"};
    const auto look = [&](const std::string& text = {}) {
        return check_guests(view_of(text), use, folder.machine());
    };
    const auto none = look();
    says(named(none, "program.qemu"), Level::problem, "no VM of vm.hypervisor = kvm can start");
    CHECK(named(none, "program.qemu").advice == "apt-get install qemu-system-x86");
    says(named(none, "program.libvirt"), Level::problem, "libvirt is not installed");
    CHECK(
        named(none, "program.libvirt").advice.starts_with("apt-get install libvirt-daemon-system"));
    says(named(none, "kernel.kvm"), Level::warning, "/dev/kvm is missing");

    folder.write("usr/bin/qemu-system-x86_64", "", 0755);
    folder.write("usr/sbin/libvirtd", "", 0755);
    says(named(look(), "program.libvirt"), Level::problem, "does not run");
    folder.write("run/libvirt/libvirt-sock", "");
    folder.write("dev/kvm", "");
    for (const Diagnosis& one : look()) says(one, Level::good, "");
    says(named(look("vm.kvm.uri = qemu+ssh://other/system\n"), "program.libvirt"), Level::good,
         "vm.kvm.uri = qemu+ssh://other/system");
}

TEST_CASE("a union's program is looked for where its key says, installed plugin or not") {
    const Folder folder;
    folder.write("proc/filesystems", "nodev\tfuse\n");
    folder.write("dev/fuse", "");
    const std::string program = folder.write("my/unionfs", "", 0755);
    InUse use;
    use.hypervisors = {"lxc-unionfs"};
    use.unions = {"unionfs-fuse"};
    const auto at = [&](const std::string& path) {
        return named(check_containers(view_of("command.unionfs-fuse = " + path + "\n"), use,
                                      folder.machine()),
                     "union.unionfs-fuse");
    };
    says(at(program), Level::good, program);
    says(at(folder.at("none")), Level::problem, "there is no program " + folder.at("none"));
    CHECK(at(folder.at("none")).advice.starts_with("apt-get install unionfs-fuse"));
}

TEST_CASE("an embedded database needs a PostgreSQL that can be run") {
    const Folder folder;
    const config::View view = view_of("");
    const auto postgres = [&] {
        return named(check_programs(view, {}, true, folder.at("versions")), "program.postgres");
    };
    says(postgres(), Level::problem, "no PostgreSQL server is installed");
    folder.write("versions/15/bin/postgres", "#!/bin/sh\nexit 127\n", 0755);
    says(postgres(), Level::problem, "cannot be run");
    folder.write("versions/15/bin/postgres", "#!/bin/sh\nexit 0\n", 0755);
    says(postgres(), Level::good, "PostgreSQL 15 is installed");
}

TEST_CASE("a user of the node's that is missing is a problem, with the command that makes him") {
    const config::View view = view_of("internal.database.os_user = nosuchuser\n");
    says(named(check_users(view, true), "user.nosuchuser"), Level::problem,
         "runs the embedded database");
    says(named(check_users(view, false), "user.root"), Level::good, "exists");
    const Diagnosis missing = named(check_users(view, false), "user.nosuchworker");
    says(missing, Level::problem, "it talks to clients");
    CHECK(missing.advice.find("useradd") != std::string::npos);
}

TEST_CASE("storage that is missing, no folder, read-only, full or unfit for overlays is named" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const Folder folder;
    InUse overlays;
    overlays.unions = {"overlayfs"};
    const auto storage = [&] {
        return check_storage(view_of("path.storage.root = " + folder.at("storage") + "\n"),
                             overlays);
    };
    says(named(storage(), "storage.images"), Level::warning, "does not exist");
    folder.write("storage/images", "a file");
    says(named(storage(), "storage.images"), Level::problem, "is no folder");
    fs::remove(folder.at("storage/images"));
    fs::create_directories(folder.at("storage/images"));
    fs::create_directories(folder.at("storage/overlayfs"));
    fs::create_directories(folder.at("other"));

    const auto mounted_as = [&](unsigned long flags, const char* options) {
        return apart(
            [&] {
                return own_mounts() && ::mount("tmpfs", folder.at("storage/images").c_str(),
                                               "tmpfs", flags, options) == 0;
            },
            storage);
    };
    says(named(mounted_as(MS_RDONLY, ""), "storage.images"), Level::problem, "cannot be written");
    says(named(mounted_as(0, "size=4m"), "storage.images"), Level::warning, "MiB left");

    const auto unable = apart(without_capabilities, storage);
    says(named(unable, "storage.overlay"), Level::problem, "no mount namespace");
}

TEST_CASE("an overlay cannot keep its changes on another one" *
          doctest::test_suite("needs overlays")) {
    NEEDS_ROOT();
    const Folder folder;
    InUse overlays;
    overlays.unions = {"overlayfs"};
    fs::create_directories(folder.at("storage/overlayfs"));
    fs::create_directories(folder.at("other"));
    fs::create_directories(folder.at("low"));
    fs::create_directories(folder.at("up"));
    fs::create_directories(folder.at("work"));
    const std::string options = "lowerdir=" + folder.at("low") + ",upperdir=" + folder.at("up") +
                                ",workdir=" + folder.at("work");
    const auto stacked = apart(
        [&] {
            return own_mounts() &&
                   ::mount("tmpfs", folder.at("other").c_str(), "tmpfs", 0, "") == 0 &&
                   ::mount("overlay", folder.at("storage/overlayfs").c_str(), "overlay", 0,
                           options.c_str()) == 0;
        },
        [&] {
            return check_storage(view_of("path.storage.root = " + folder.at("storage") + "\n"),
                                 overlays);
        });
    if (stacked.empty()) return qvd::test::skip("this machine mounts no overlay here");
    says(named(stacked, "storage.overlay"), Level::problem, "cannot hold what containers change");
}

TEST_CASE("a bridge that is none, or that the node must not make, is a problem" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const std::string network =
        "vm.network.ip.start = 10.3.15.50\nvm.network.netmask = 24\nvm.network.bridge = ";
    const auto bridge = [&](const std::string& name, bool embedded) {
        return check_bridge(view_of(network + name + "\n"), "10.3.15.1", embedded);
    };
    says(named(bridge("lo", true), "network.bridge"), Level::problem, "lo is a device, but no");
    says(named(bridge("nosuchbridge", false), "network.bridge"), Level::problem, "there is no");
    says(named(bridge("nosuchbridge", true), "network.bridge"), Level::good, "at its start");
    says(named(bridge("nosuchbridge", true), "network.address"), Level::warning, "10.3.15.1 yet");
    says(named(bridge("nosuchbridge", false), "network.address"), Level::problem, "10.3.15.1");
    const std::string asking = "nosuchbridge\nvm.network.use_dhcp = 1\ncommand.dnsmasq = ";
    says(named(bridge(asking + "/no/such/dnsmasq", true), "network.dhcp"), Level::problem,
         "VMs get no address");
    says(named(bridge(asking + "/bin/sh", true), "network.dhcp"), Level::good, "/bin/sh");
    const auto wrong = check_bridge(view_of("vm.network.ip.start = 10.3.15.1\n"), "", true);
    says(named(wrong, "network.addresses"), Level::problem, "vm.network");
}

TEST_CASE("a port is well only if the node itself is what listens there") {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&here), sizeof here) == 0);
    socklen_t size = sizeof here;
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &size) == 0);
    const std::string port = std::to_string(ntohs(here.sin_port));
    const config::View view = view_of("l7r.port = " + port + "\n");
    says(check_port(view, "0.0.0.0:" + port), Level::problem, "nobody listens");
    REQUIRE(::listen(listener, 4) == 0);
    says(check_port(view, "0.0.0.0:" + port), Level::good, "the node answers");
    says(check_port(view, ""), Level::problem, "not a running node");
    says(check_port(view, "0.0.0.0:1"), Level::problem, "something else on");
    says(check_port(view, std::nullopt), Level::warning, "needs root");
    CHECK(listening_of(R"({"listening":"0.0.0.0:8443"})") == "0.0.0.0:8443");
    CHECK(listening_of("nonsense").empty());
    ::close(listener);
}
