// Containers of a Debian whose init is systemd, through their life: with a root that is the node's
// own, and with one that is nobody there.
#include "stage.hpp"
#include "terminal.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

using namespace qvd::test;
using std::chrono::seconds;

namespace {

// What a shell command says, and its exit code.
struct Said {
    int status = -1;
    std::string text;
};

Said said_by(const std::string& command, const std::string& file) {
    const int status = std::system((command + " >" + file + " 2>&1").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(file)};
}

// The archive; made at first, with the network of who started this process.
const std::string& archive() {
    static const std::string path = [] {
        std::string wanted = QVD_TEST_SYSTEMD_IMAGE;
        const Said making =
            said_by("TMPDIR=/mnt nsenter --net=/proc/" + std::to_string(::getppid()) +
                        "/ns/net " QVD_TEST_MAKE_SYSTEMD_IMAGE " " + wanted,
                    "/mnt/making");
        if (making.status == 77) skip_all("no Debian with systemd: " + making.text);
        REQUIRE_MESSAGE(making.status == 0, making.text);
        return wanted;
    }();
    return path;
}

// Their files cannot be owned by a container's own ids.
bool by_fuse() {
    return kind() == "unionfs-fuse" || kind() == "fuse-overlayfs";
}

// A node with that Debian, and one VM of it.
struct Debian {
    // With vm.lxc.unprivileged and vm.lxc.sys_admin.
    explicit Debian(const std::string& own_ids, const std::string& sys_admin = "auto")
        : made(archive()), vm(world, 1) {
        world.configuration["vm.lxc.unprivileged"] = own_ids;
        world.configuration["vm.lxc.sys_admin"] = sys_admin;
        world.configuration["vm.lxc.unpack.max.mib"] = "1024";
        world.configuration["vm.lxc.unpack.max.entries"] = "100000";
        begin();
        CallStandIn call;
        REQUIRE_MESSAGE(prepare(*backend, made, world.images("7-debian"), call) == QVD_OK,
                        call.sentence);
        vm.unpacked_path = world.images("7-debian");
        vm.memory_mib = 512;
        vm.persistent = true;
    }
    ~Debian() {
        destroy();  // the core waits for what it started
    }
    Debian(const Debian&) = delete;
    Debian& operator=(const Debian&) = delete;
    // As if the core was killed, and began again.
    void begin() {
        if (backend) backend->drop();
        former.push_back(std::move(backend));
        backend = std::make_unique<Backend>(world);
    }
    void start() {
        CallStandIn call;
        REQUIRE_MESSAGE(backend->table().start(backend->self(), vm.raw(), call.raw()) == QVD_OK,
                        call.sentence);
    }
    void stop() {
        CallStandIn call;
        CHECK_MESSAGE(backend->table().stop(backend->self(), vm.raw(), call.raw()) == QVD_OK,
                      call.sentence);
    }
    void destroy() {
        CallStandIn call;
        CHECK_MESSAGE(backend->table().destroy_vm(backend->self(), vm.raw(), call.raw()) == QVD_OK,
                      call.sentence);
    }
    std::vector<Told> survey() {
        CallStandIn call;
        REQUIRE(backend->table().survey(backend->self(), call.raw()) == QVD_OK);
        return call.vms;
    }
    // The number of its init on the node.
    std::string init() const {
        std::istringstream lines(read_file(world.path("run/vm/1.state")));
        for (std::string line; std::getline(lines, line);)
            if (line.compare(0, 5, "init=") == 0) return line.substr(5);
        return {};
    }
    // What its root's shell says.
    Said inside(const std::string& commands) const {
        write_file(world.path("commands"), commands + "\n");
        return said_by("timeout 60 nsenter --all --target " + init() +
                           " /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh <" +
                           world.path("commands"),
                       world.path("said"));
    }
    // Until all is started that its systemd starts; how it calls that.
    std::string come_up() const {
        std::string state;
        eventually([&] {  // before it listens, systemctl cannot wait for it
            state = inside("systemctl is-system-running --wait").text;
            return state == "running\n" || state == "degraded\n";
        });
        return state;
    }

    std::string made;
    World world;
    VmOrder vm;
    std::vector<std::unique_ptr<Backend>> former;  // whose processes may run yet
    std::unique_ptr<Backend> backend;
};

// Writes a file when systemd does what its signal to halt asks of it, after all is shut down.
constexpr const char* witness =
    "cat >/etc/systemd/system/witness.service <<END\n"
    "[Unit]\nDefaultDependencies=no\nAfter=shutdown.target\nBefore=umount.target final.target\n"
    "[Service]\nType=oneshot\nExecStart=/bin/touch /witness\n"
    "END\n"
    "mkdir -p /etc/systemd/system/halt.target.wants\n"
    "ln -sf ../witness.service /etc/systemd/system/halt.target.wants/\n"
    "systemctl daemon-reload\n";

void check_units(const Debian& debian) {
    CHECK(debian.inside("cat /proc/1/comm").text == "systemd\n");
    CHECK(debian.inside("systemctl list-units --failed --plain --no-legend").text == "");
    CHECK(debian.inside("systemd-detect-virt --container").text == "lxc\n");
    // A service has a cgroup of its own, by which it ends.
    CHECK(debian.inside("systemd-run --unit=desk sh -c 'sleep 1000 & sleep 1000'").status == 0);
    const Said groups = debian.inside(
        "cat /proc/$(systemctl show -p MainPID --value desk)/cgroup;"
        " find /sys/fs/cgroup -path '*/system.slice/desk.service'");
    CHECK_MESSAGE(groups.text.find(":/system.slice/desk.service\n") != std::string::npos,
                  groups.text);
    CHECK_MESSAGE(groups.text.find("\n/sys/fs/cgroup") != std::string::npos, groups.text);
    CHECK(debian.inside("systemctl stop desk; grep -lx sleep /proc/[0-9]*/comm").text == "");
    // A user's own systemd, as sessions by PAM begin it.
    const Said user = debian.inside("systemctl start user@0 && systemctl is-active user@0");
    CHECK_MESSAGE(user.text == "active\n", user.text);
}

void check_consoles(const Debian& debian) {
    if (!exists("/usr/bin/lxc-console")) return;
    const std::string folder = debian.world.path("run/vm");
    const std::string name = debian.world.configuration.at("internal.vm.lxc.name.prefix") + "1";
    const std::string said =
        typed_to({"lxc-console", "-P", folder.c_str(), "-n", name.c_str()}, "\n", "desk-1 login:");
    CHECK_MESSAGE(said.find("desk-1 login:") != std::string::npos, said);
    const auto console = [&] { return read_file(debian.world.path("run/vm/1.console.log")); };
    CHECK(eventually([&] { return console().find("desk-1 login:") != std::string::npos; }));
}

// What the node's pages say of such containers.
void check_walls(const Debian& debian) {
    CHECK(debian.inside("mount -t tmpfs none /mnt && umount /mnt").status == 0);
    CHECK(debian.inside("echo 1 >/proc/sys/kernel/printk").status != 0);
    CHECK(debian.inside("grep -E '^[^ ]+ /(sys|proc/sys) ' /proc/self/mounts | grep -v ' ro,'")
              .text == "");
}

}  // namespace

TEST_CASE("systemd comes up whole, outlives the core, and shuts down when it is told to") {
    for (const std::string own_ids : {"0", "1"}) {
        if (by_fuse() && own_ids == "1") continue;
        INFO("vm.lxc.unprivileged = " << own_ids);
        Debian debian(own_ids);
        debian.start();
        CHECK(debian.come_up() == "running\n");
        check_units(debian);
        check_walls(debian);
        check_consoles(debian);
        CHECK(debian.inside(witness).text == "");

        const std::string init = debian.init();
        debian.begin();
        REQUIRE(debian.survey().size() == 1);
        CHECK(debian.survey().front().state == QVD_VM_RUNNING);
        CHECK(debian.init() == init);
        CHECK(debian.inside("systemctl is-system-running").text == "running\n");

        const auto asked = std::chrono::steady_clock::now();
        debian.stop();
        const Told told = debian.backend->core().report_of(1, seconds(30));
        MESSAGE("stopped within " << std::chrono::duration_cast<std::chrono::milliseconds>(
                                         std::chrono::steady_clock::now() - asked)
                                         .count()
                                  << " ms");
        CHECK(told.state == QVD_VM_STOPPED);
        CHECK(told.sentence == "");
        CHECK(exists(debian.world.changes_of(1) + "/witness"));
        CHECK(debian.world.left_overs() == "");
        debian.destroy();
        CHECK(debian.survey().empty());
        CHECK(debian.world.left_overs() == "");
    }
}

TEST_CASE("a Debian that restarts itself runs on, and one that powers itself off has stopped") {
    for (const std::string own_ids : {"0", "1"}) {
        if (by_fuse() && own_ids == "1") continue;
        INFO("vm.lxc.unprivileged = " << own_ids);
        Debian debian(own_ids);
        debian.start();
        REQUIRE(debian.come_up() == "running\n");
        const std::string first = debian.init();
        debian.inside("systemctl reboot");
        CHECK(eventually([&] { return debian.init() != first; }));
        CHECK(debian.come_up() == "running\n");
        CHECK(debian.survey().front().state == QVD_VM_RUNNING);
        debian.inside("systemctl poweroff");
        const Told told = debian.backend->core().report_of(1, seconds(30));
        CHECK(told.state == QVD_VM_STOPPED);
        CHECK(told.sentence == "it shut itself down");
        CHECK(debian.world.left_overs() == "");
        debian.destroy();
    }
}

TEST_CASE(
    "a Debian that is told to stop while it has only begun stops, and one that is killed too") {
    Debian debian(by_fuse() ? "0" : "1");
    debian.start();
    debian.stop();
    CHECK(debian.backend->core().report_of(1, seconds(30)).state == QVD_VM_STOPPED);
    CHECK(debian.world.left_overs() == "");
    debian.start();
    REQUIRE(debian.come_up() == "running\n");
    debian.destroy();
    CHECK(debian.survey().empty());
    CHECK(debian.world.left_overs() == "");
}

TEST_CASE("a Debian whose systemd may not mount ends at once, and its console tells why") {
    Debian debian(by_fuse() ? "0" : "1", "0");
    debian.start();
    const Told told = debian.backend->core().report_of(1, seconds(30));
    CHECK(told.state == QVD_VM_CRASHED);
    CHECK(told.sentence == "its init ended with code 255");
    const std::string console = read_file(debian.world.path("run/vm/1.console.log"));
    CHECK_MESSAGE(console.find("Failed to mount") != std::string::npos, console);
}
