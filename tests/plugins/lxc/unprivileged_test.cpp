// Containers whose ids are nobody's on the node.
#include "stage.hpp"

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;
using namespace qvd::test;

namespace {

constexpr const char* key = "vm.lxc.unprivileged";
constexpr unsigned first_id = 805306368;

// Their files cannot be owned by a container's own ids.
bool by_fuse() {
    return kind() == "unionfs-fuse" || kind() == "fuse-overlayfs";
}

// The user on the node that a container's init runs as.
std::string owner_of_init(const Stage& stage, std::uint64_t vm) {
    std::istringstream state(
        read_file(stage.world.path("run/vm/" + std::to_string(vm) + ".state")));
    for (std::string line; std::getline(state, line);) {
        if (line.compare(0, 5, "init=") != 0) continue;
        std::istringstream status(read_file("/proc/" + line.substr(5) + "/status"));
        for (std::string word; status >> word;)
            if (word == "Uid:") return status >> word, word;
    }
    return {};
}

void begin_anew(Stage& stage, const std::string& value) {
    stage.world.configuration[key] = value;
    stage.backend->drop();
    stage.backend = std::make_unique<Backend>(stage.world);
}

struct stat facts_of(const std::string& path) {
    struct stat facts {};
    CHECK(::lstat(path.c_str(), &facts) == 0);
    return facts;
}

}  // namespace

TEST_CASE("root of a container is nobody on the node, and each container's another" *
          doctest::skip(by_fuse())) {
    Stage stage([](const std::string& root) {
        boot_does(root, "cat /proc/self/uid_map > /var/www/map\ntouch /made\n");
    });
    begin_anew(stage, "1");
    VmOrder one(stage.world, 61);
    VmOrder two(stage.world, 62);
    stage.must_start(one);
    stage.must_start(two);
    CHECK(fetch(one.address(), "map").find(std::to_string(first_id + 61 * 65536)) !=
          std::string::npos);
    CHECK(fetch(two.address(), "index.html") == "hello\n");
    CHECK(owner_of_init(stage, 61) == std::to_string(first_id + 61 * 65536));
    CHECK(owner_of_init(stage, 62) == std::to_string(first_id + 62 * 65536));
    // On disk its files have the owners that it sees.
    CHECK(facts_of(stage.world.changes_of(61) + "/made").st_uid == 0);
    CHECK(facts_of(stage.world.images("7-tiny/bin/busybox")).st_uid == 0);
    stage.destroy(one);
    stage.destroy(two);
    CHECK(stage.world.left_overs() == "");
    CHECK(fs::is_empty(stage.world.path("run/given")));
}

namespace {

// The programs in a folder that run as the node's root, whoever starts them.
std::vector<std::string> programs_of_root(const std::string& folder) {
    std::vector<std::string> found;
    for (const auto& one : fs::recursive_directory_iterator(folder)) {
        struct stat facts {};
        if (::lstat(one.path().c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
            (facts.st_mode & S_ISUID) != 0 && facts.st_uid == 0)
            found.push_back(one.path());
    }
    return found;
}

// The first of them that a user without any rights gets to.
std::string first_reached_by_nobody(const std::vector<std::string>& paths) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0)
            ::_exit(2);
        for (const std::string& path : paths)
            if (::access(path.c_str(), F_OK) == 0)
                ::_exit(::write(ends[1], path.data(), path.size()) > 0 ? 1 : 2);
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string said;
    char part[4096];
    for (ssize_t got = 0; (got = ::read(ends[0], part, sizeof part)) > 0;)
        said.append(part, static_cast<std::size_t>(got));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WEXITSTATUS(status) == (said.empty() ? 0 : 1));
    return said;
}

}  // namespace

TEST_CASE("no user of the node gets to a program that root of a container left") {
    Stage stage([](const std::string& root) {
        fs::copy_file("/bin/busybox", root + "/bin/image");
        ::chmod((root + "/bin/image").c_str(), 04755);
        boot_does(root,
                  "cp /bin/busybox /home/program; chmod 4755 /home/program\n"
                  "cp /bin/busybox /program; chmod 4755 /program\n"
                  "echo end > /var/www/end\n");
        for (const char* const name : {"cp", "chmod"})
            fs::create_symlink("busybox", root + "/bin/" + std::string(name));
    });
    for (const char* const how : {"0", "1"}) {
        if (by_fuse() && how[0] == '1') continue;
        CAPTURE(how);
        // As an older node left them.
        for (const char* const folder : {"basefs", "overlayfs", "homefs", "btrfs", "btrfs/vms"})
            ::chmod(stage.world.path(folder).c_str(), 0755);
        begin_anew(stage, how);
        VmOrder vm(stage.world, how[0] == '1' ? 69 : 68);
        vm.home = stage.world.path("homefs/" + std::string(how) + "-fs");
        stage.must_start(vm);
        CHECK(fetch(vm.address(), "end") == "end\n");
        const std::vector<std::string> programs = programs_of_root(stage.world.path(""));
        // Of the image, of its root and of its home; where they run as the node's root, mounted,
        // too.
        CHECK(programs.size() >= (how[0] == '1' ? 3U : 5U));
        CHECK(first_reached_by_nobody(programs) == "");
        stage.destroy(vm);
        CHECK(first_reached_by_nobody(programs_of_root(stage.world.path(""))) == "");
    }
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE(
    "a home that a container of the node's own ids began is as readable with others, and back" *
    doctest::skip(by_fuse())) {
    Stage stage([](const std::string& root) {
        boot_does(
            root,
            "[ -e /home/bob ] || { mkdir /home/bob; echo first > /home/bob/file;"
            " chmod 700 /home/bob; chmod 600 /home/bob/file; chown -R 1000:1000 /home/bob; }\n"
            "stat -c '%u:%g' /home/bob/file > /var/www/owner\n"
            "cat /home/bob/file > /var/www/file\n"
            "echo more >> /home/bob/file\n");
        for (const char* const name : {"stat", "chown", "chmod"})
            fs::create_symlink("busybox", root + "/bin/" + std::string(name));
        fs::create_symlink("busybox", root + "/bin/[");
    });
    const std::string home = stage.world.path("homefs/63-fs");
    const std::string file = home + "/bob/file";
    std::string expected = "first\n";
    for (const char* const how : {"0", "1", "0", "1"}) {
        CAPTURE(how);
        begin_anew(stage, how);
        VmOrder vm(stage.world, 63);
        vm.home = home;
        stage.must_start(vm);
        CHECK(fetch(vm.address(), "owner") == "1000:1000\n");
        CHECK(fetch(vm.address(), "file") == expected);
        expected += "more\n";
        CHECK(eventually([&] { return read_file(file) == expected; }));
        CHECK(facts_of(file).st_uid == 1000);
        stage.destroy(vm);
    }
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("root of an unprivileged container may mount, and changes nothing of the node with it" *
          doctest::skip(by_fuse())) {
    Stage stage([](const std::string& root) {
        boot_does(root,
                  "mount -t tmpfs none /tmp && echo allowed > /var/www/mount\n"
                  "mount -o remount,rw /proc/sys; echo 1 > /proc/sys/kernel/printk ||"
                  " echo refused > /var/www/printk\n"
                  "echo b > /proc/sysrq-trigger || echo refused > /var/www/sysrq\n"
                  "mknod /tmp/disk b 254 0 || echo refused > /var/www/mknod\n"
                  "mkdir /tmp/c; mount -t cgroup -o devices none /tmp/c;"
                  " echo a > /tmp/c/devices.allow || echo refused > /var/www/lift\n"
                  "date -s 2001-01-01 2>&1 | grep -q 'not permitted' &&"
                  " echo refused > /var/www/time\n"
                  "cat /etc/qvd/agent.token > /var/www/token\n"
                  "echo end > /var/www/end\n");
        fs::create_symlink("busybox", root + "/bin/date");
    });
    stage.world.configuration["vm.lxc.sys_admin"] = "1";
    begin_anew(stage, "1");
    VmOrder vm(stage.world, 64);
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "end") == "end\n");
    CHECK(fetch(vm.address(), "mount", std::chrono::seconds(1)) == "allowed\n");
    for (const char* const what : {"printk", "sysrq", "mknod", "lift", "time"})
        CHECK_MESSAGE(fetch(vm.address(), what, std::chrono::seconds(1)) == "refused\n",
                      std::string(what));
    CHECK(fetch(vm.address(), "token", std::chrono::seconds(1)) == "s3cret-token");
    stage.destroy(vm);
}

TEST_CASE("an OSF says for itself whether its containers have ids of their own" *
          doctest::skip(by_fuse())) {
    Stage stage;
    begin_anew(stage, "auto");
    CHECK(stage.backend->core().log().find("root of a container is nobody on this node") !=
          std::string::npos);
    VmOrder vm(stage.world, 65);
    vm.properties[key] = "0";
    stage.must_start(vm);
    CHECK(owner_of_init(stage, 65) == "0");
    stage.destroy(vm);
    vm.properties[key] = "1";
    stage.must_start(vm);
    CHECK(owner_of_init(stage, 65) == std::to_string(first_id + 65 * 65536));
    stage.destroy(vm);
    vm.properties[key] = "perhaps";
    CallStandIn call;
    CHECK(stage.start(vm, call) == QVD_INVALID);
    CHECK(call.sentence == "vm.lxc.unprivileged is auto, 1 or 0, not \"perhaps\"");
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("a folder that only root gets through is named, and containers start as they can" *
          doctest::skip(by_fuse())) {
    Stage stage;
    ::chmod(stage.world.path("").c_str(), 0700);
    begin_anew(stage, "auto");
    CHECK(stage.backend->core().log().find("only root gets through the folder") !=
          std::string::npos);
    VmOrder vm(stage.world, 67);
    vm.home = stage.world.path("homefs/67-fs");
    stage.must_start(vm);
    CHECK(owner_of_init(stage, 67) == "0");
    stage.destroy(vm);
    vm.properties[key] = "1";
    CallStandIn call;
    CHECK(stage.start(vm, call) == QVD_UNAVAILABLE);
    CHECK_MESSAGE(call.sentence.find("chmod o+x") != std::string::npos, call.sentence);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("files that cannot be mapped are said at the node's start; who insists does not start" *
          doctest::skip(!by_fuse())) {
    Stage stage;
    begin_anew(stage, "auto");
    CHECK(stage.backend->core().log().find("root of a container is the node's own") !=
          std::string::npos);
    VmOrder vm(stage.world, 66);
    stage.must_start(vm);
    CHECK(owner_of_init(stage, 66) == "0");
    stage.destroy(vm);
    vm.properties[key] = "1";
    CallStandIn call;
    CHECK(stage.start(vm, call) == QVD_UNAVAILABLE);
    CHECK_MESSAGE(call.sentence.find("vm.lxc.unprivileged = 1: files of") == 0, call.sentence);
    CHECK(stage.world.left_overs() == "");
}
