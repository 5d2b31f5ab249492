// The union file systems of lxc-unionfs: chosen for the node or for a VM, their daemons, and what
// is said where one is missing.
#include "stage.hpp"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>

using namespace qvd::test;

namespace {

constexpr const char* type_key = "vm.lxc.unionfs.type";

std::string type_of(const std::string& mount_point) {
    std::istringstream lines(read_file("/proc/self/mounts"));
    std::string type;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string source;
        std::string at;
        words >> source >> at;
        if (at == mount_point) words >> type;
    }
    return type;
}

void set_up(Stage& stage, const std::string& key, const std::string& value) {
    stage.world.configuration[key] = value;
    stage.backend->drop();
    stage.backend = std::make_unique<Backend>(stage.world);
    REQUIRE_MESSAGE(stage.backend->refused.empty(), stage.backend->refused);
}

// The pids of the daemons that keep this VM's files together.
std::string daemons_of(const World& world, std::uint64_t vm) {
    const std::string name = "qvd.files." + world.configuration.at("internal.vm.lxc.name.prefix") +
                             std::to_string(vm) + "/cgroup.procs";
    for (const char* top :
         {"/sys/fs/cgroup/", "/sys/fs/cgroup/unified/", "/sys/fs/cgroup/systemd/"})
        if (exists(top + name)) return read_file(top + name);
    return {};
}

bool has_fuse() {
    return exists("/dev/fuse") && exists("/usr/bin/unionfs-fuse") &&
           exists("/usr/bin/fuse-overlayfs");
}

}  // namespace

TEST_CASE("VMs of one node have their files from different unions, as their properties say") {
    if (!has_fuse()) return;
    Stage stage([](const std::string& root) {
        write_file(root + "/etc/only-root", "x", 0600);
        boot_does(root,
                  "echo kept > /etc/changed; cat /etc/changed > /var/www/changed\n"
                  "/bin/busybox setuidgid 1000:1000 cat /etc/only-root || echo denied > "
                  "/var/www/other\necho end > /var/www/end\n");
    });
    const std::pair<const char*, const char*> kinds[] = {
        {"overlayfs", "overlay"}, {"unionfs-fuse", "fuse"}, {"fuse-overlayfs", "fuse"}};
    std::uint64_t id = 30;
    std::vector<std::unique_ptr<VmOrder>> vms;
    for (const auto& kind : kinds) {
        const char* const type = kind.first;
        vms.push_back(std::make_unique<VmOrder>(stage.world, ++id));
        vms.back()->properties[type_key] = type;
        stage.must_start(*vms.back());
        CHECK(type_of(stage.world.path("rootfs/" + std::to_string(id) + "-fs/root"))
                  .rfind(kind.second, 0) == 0);
        CHECK(fetch(vms.back()->address(), "end") == "end\n");
        CHECK(fetch(vms.back()->address(), "changed") == "kept\n");
        CHECK_MESSAGE(fetch(vms.back()->address(), "other") == "denied\n", type);
        CHECK(daemons_of(stage.world, id).empty() == (std::string(type) == "overlayfs"));
    }
    CHECK_FALSE(exists(stage.world.images("7-tiny/etc/changed")));
    for (const auto& vm : vms) stage.destroy(*vm);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("VMs that start at the same moment are not in one another's way") {
    Stage stage;
    std::vector<std::unique_ptr<VmOrder>> vms;
    std::vector<std::string> sentences(8);
    std::vector<std::thread> starts;
    for (std::uint64_t id = 50; id < 50 + sentences.size(); ++id)
        vms.push_back(std::make_unique<VmOrder>(stage.world, id));
    for (std::size_t i = 0; i < vms.size(); ++i)
        starts.emplace_back([&stage, &vm = *vms[i], &sentence = sentences[i]] {
            CallStandIn call;
            if (stage.start(vm, call) != QVD_OK) sentence = "refused: " + call.sentence;
        });
    for (std::thread& start : starts) start.join();
    for (const std::string& sentence : sentences) CHECK(sentence == "");
    for (const auto& vm : vms) stage.destroy(*vm);
    CHECK(eventually([&] { return stage.world.left_overs().empty(); }));
}

TEST_CASE("a VM whose file system's daemon dies has crashed, and nothing is left of it") {
    if (!has_fuse()) return;
    Stage stage;
    VmOrder vm(stage.world, 35);
    vm.properties[type_key] = "unionfs-fuse";
    stage.must_start(vm);
    REQUIRE(fetch(vm.address(), "index.html") == "hello\n");
    const int daemon = std::stoi(daemons_of(stage.world, 35));
    REQUIRE(daemon > 1);
    ::kill(daemon, SIGKILL);
    const Told told = stage.backend->core().report_of(35);
    CHECK(told.state == QVD_VM_CRASHED);
    CHECK(told.sentence == "the daemon that keeps its files together ended by signal 9");
    CHECK(eventually([&] { return stage.world.left_overs().empty(); }));
    VmOrder next(stage.world, 35, 2);
    next.properties[type_key] = "unionfs-fuse";
    stage.must_start(next);
    CHECK(fetch(next.address(), "index.html") == "hello\n");
    stage.destroy(next);
}

TEST_CASE("mounts and daemons of a VM whose keeper died unwatched go with the next collection") {
    if (!has_fuse()) return;
    Stage stage;
    VmOrder vm(stage.world, 36);
    vm.properties[type_key] = "fuse-overlayfs";
    stage.must_start(vm);
    const int keeper = stage.state(vm).pid;
    const int daemon = std::stoi(daemons_of(stage.world, 36));
    stage.backend->drop();
    ::kill(keeper, SIGKILL);
    CHECK(eventually([&] { return !exists("/proc/" + std::to_string(keeper)); }));
    Backend second(stage.world);
    CHECK(stage.world.left_overs() == "");
    CHECK(eventually([&] { return !exists("/proc/" + std::to_string(daemon)); }));
}

TEST_CASE("with bind every VM has the image itself and a name of its own, and none writes to it") {
    Stage stage([](const std::string& root) {
        write_file(root + "/etc/hosts", "");
        write_file(root + "/etc/inittab",
                   "::sysinit:/sbin/boot\n::respawn:/bin/httpd -f -p 8080 -h /tmp/www\n");
        boot_does(root,
                  "mkdir /tmp/www; cat /etc/hostname > /tmp/www/name\n"
                  "cat /etc/resolv.conf > /tmp/www/resolv; cat /etc/hosts > /tmp/www/hosts\n"
                  "cat /etc/qvd/agent.token > /tmp/www/token\n"
                  "echo x > /etc/changed || echo refused > /tmp/www/write\n"
                  "echo mine > /home/file; echo end > /tmp/www/end\n");
    });
    set_up(stage, type_key, "bind");
    VmOrder one(stage.world, 37);
    VmOrder other(stage.world, 38);
    one.home = stage.world.path("homefs/37-fs");
    stage.must_start(one);
    stage.must_start(other);
    CHECK(fetch(one.address(), "end") == "end\n");
    CHECK(fetch(one.address(), "name") == "desk-37\n");
    CHECK(fetch(other.address(), "name") == "desk-38\n");
    CHECK(fetch(one.address(), "hosts").find("127.0.1.1\tdesk-37\n") != std::string::npos);
    CHECK(fetch(one.address(), "resolv") == "search example.test\nnameserver 10.91.7.53\n");
    CHECK(fetch(one.address(), "token") == "s3cret-token");
    CHECK(fetch(one.address(), "write") == "refused\n");
    CHECK(read_file(stage.world.path("homefs/37-fs/file")) == "mine\n");
    CHECK(read_file(stage.world.images("7-tiny/etc/qvd/agent.token")) == "");
    stage.destroy(one);
    stage.destroy(other);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("that nobody keeps to the size of homes is said once") {
    Stage stage;
    for (const std::uint64_t id : {41U, 42U}) {
        VmOrder vm(stage.world, id);
        vm.home = stage.world.path("homefs/" + std::to_string(id) + "-fs");
        vm.home_bytes = 20U << 20U;
        stage.must_start(vm);
        stage.destroy(vm);
    }
    const std::string log = stage.backend->core().log();
    CHECK(log.find("the user_storage_size of VM 41 is no limit to its home: here homes are plain "
                   "folders") != std::string::npos);
    CHECK(log.find("of VM 42") == std::string::npos);
}

TEST_CASE("with bind an OSF says for itself whether its VMs write to the image") {
    Stage stage([](const std::string& root) { boot_does(root, "echo x > /etc/changed\n"); });
    VmOrder vm(stage.world, 43);
    vm.properties = {{type_key, "bind"}, {"vm.lxc.unionfs.bind.ro", "0"}};
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    CHECK(read_file(stage.world.images("7-tiny/etc/changed")) == "x\n");
    stage.destroy(vm);
    vm.properties["vm.lxc.unionfs.bind.ro"] = "perhaps";
    CallStandIn call;
    CHECK(stage.start(vm, call) == QVD_INVALID);
    CHECK_MESSAGE(call.sentence.find("vm.lxc.unionfs.bind.ro of this VM or its OSF is 1 or 0") == 0,
                  call.sentence);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("with bind and bind.ro = 0 what one VM writes all of them have") {
    Stage stage([](const std::string& root) { boot_does(root, "echo x > /etc/changed\n"); });
    set_up(stage, "vm.lxc.unionfs.bind.ro", "0");
    VmOrder vm(stage.world, 39);
    vm.properties[type_key] = "bind";
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    CHECK(read_file(stage.world.images("7-tiny/etc/changed")) == "x\n");
    stage.destroy(vm);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("an image that a VM has through a daemon or a bind mount is not removed") {
    Stage stage;
    VmOrder vm(stage.world, 40);
    vm.properties[type_key] = "bind";
    stage.must_start(vm);
    qvd_image image{};
    image.size = sizeof image;
    const std::string target = stage.world.images("7-tiny");
    image.path = image.checksum = qvd_text("");
    image.unpacked_path = qvd_text(target.c_str());
    CallStandIn call;
    CHECK(stage.backend->table().remove_image(stage.backend->self(), &image, call.raw()) ==
          QVD_CONFLICT);
    stage.destroy(vm);
    CHECK(stage.backend->table().remove_image(stage.backend->self(), &image, call.raw()) == QVD_OK);
}

TEST_CASE("a union that this node cannot do is named at its start, and refused with a sentence") {
    Stage stage;
    SUBCASE("as the node's: the plugin refuses to begin") {
        stage.world.configuration[type_key] = "unionfs-fuse";
        stage.world.configuration["command.unionfs-fuse"] = "/nowhere/unionfs-fuse";
        CHECK(Backend(stage.world).refused ==
              "vm.lxc.unionfs.type = unionfs-fuse: there is no program /nowhere/unionfs-fuse "
              "(command.unionfs-fuse; the package unionfs-fuse)");
    }
    SUBCASE("as a VM's: the log says so at the node's start, the VM's start fails") {
        set_up(stage, "command.fuse-overlayfs", "/nowhere/fuse-overlayfs");
        CHECK(stage.backend->core().log().find(
                  "VMs with vm.lxc.unionfs.type = fuse-overlayfs cannot start on this node") !=
              std::string::npos);
        VmOrder vm(stage.world, 41);
        vm.properties[type_key] = "fuse-overlayfs";
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_UNAVAILABLE);
        CHECK(call.sentence.find("/nowhere/fuse-overlayfs") != std::string::npos);
    }
    SUBCASE("one that nobody knows") {
        VmOrder vm(stage.world, 41);
        vm.properties[type_key] = "aufs";
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_INVALID);
        CHECK(call.sentence.find("= aufs of this VM or its OSF is unknown") != std::string::npos);
    }
    SUBCASE("a program that is no such daemon") {
        set_up(stage, "command.unionfs-fuse", "/bin/false");
        VmOrder vm(stage.world, 41);
        vm.properties[type_key] = "unionfs-fuse";
        CallStandIn call;
        CHECK(stage.start(vm, call) == QVD_UNAVAILABLE);
        CHECK_MESSAGE(call.sentence.find("did not mount the VM's files") != std::string::npos,
                      call.sentence);
    }
    CHECK(eventually([&] { return stage.world.left_overs().empty(); }));
}
