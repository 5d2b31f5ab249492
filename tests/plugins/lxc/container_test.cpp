#include "stage.hpp"
#include "terminal.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>

namespace fs = std::filesystem;
using namespace qvd::test;

namespace {

int status_number(int pid, const std::string& key) {
    std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/smaps_rollup"));
    for (std::string word; lines >> word;)
        if (word == key) {
            int kib = 0;
            lines >> kib;
            return kib;
        }
    return 0;
}

}  // namespace

TEST_CASE("a container starts, serves, tells its state and usage, and stops without a trace") {
    Stage stage;
    VmOrder vm(stage.world, 1);
    vm.home = stage.world.path("homefs/1-fs");
    const auto before = std::chrono::steady_clock::now();
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    const auto served = std::chrono::steady_clock::now();
    MESSAGE("start to the first answer: "
            << std::chrono::duration_cast<std::chrono::milliseconds>(served - before).count()
            << " ms");
    CHECK(stage.state(vm).state == QVD_VM_RUNNING);
    CHECK(stage.state(vm).incarnation == 1);

    CallStandIn usage;
    REQUIRE(stage.backend->table().usage(stage.backend->self(), vm.raw(), usage.raw()) == QVD_OK);
    CHECK(usage.usage.memory_bytes > 0);
    CHECK(usage.usage.cpu_seconds > 0);

    CallStandIn stop;
    CHECK(stage.backend->table().stop(stage.backend->self(), vm.raw(), stop.raw()) == QVD_OK);
    const Told told = stage.backend->core().report_of(1);
    CHECK(told.state == QVD_VM_STOPPED);
    CHECK(told.incarnation == 1);
    MESSAGE("stop to its end told: " << std::chrono::duration_cast<std::chrono::milliseconds>(
                                            std::chrono::steady_clock::now() - served)
                                            .count()
                                     << " ms");
    CHECK(stage.world.left_overs() == "");
    CHECK(stage.state(vm).state == QVD_VM_STOPPED);
    stage.destroy(vm);  // once more does no harm
    CHECK(stage.backend->table().stop(stage.backend->self(), vm.raw(), stop.raw()) == QVD_OK);
    CHECK(exists(stage.world.path("homefs/1-fs")));
}

TEST_CASE("a container finds its name, name servers, home and agent token, and nobody else does") {
    Stage stage([](const std::string& root) {
        boot_does(root,
                  "hostname > /var/www/name\n"
                  "cat /etc/resolv.conf > /var/www/resolv\n"
                  "cat /etc/qvd/agent.token > /var/www/token\n"
                  "echo mine > /home/file\n"
                  "ip addr show eth0 > /var/www/eth0\n"
                  "ip route > /var/www/route\n");
    });
    VmOrder vm(stage.world, 2);
    vm.home = stage.world.path("homefs/2-fs");
    stage.must_start(vm);
    CHECK(fetch(vm.address(), "name") == "desk-2\n");
    CHECK(fetch(vm.address(), "resolv") == "search example.test\nnameserver 10.91.7.53\n");
    CHECK(fetch(vm.address(), "token") == "s3cret-token");
    CHECK(fetch(vm.address(), "eth0").find("inet 10.91.7.3/24") != std::string::npos);
    CHECK(fetch(vm.address(), "eth0").find("54:52:00:5b:07:03") != std::string::npos);
    CHECK(fetch(vm.address(), "route").find("default via 10.91.7.1") != std::string::npos);
    CHECK(read_file(stage.world.path("homefs/2-fs/file")) == "mine\n");
    struct stat token {};
    const std::string given = stage.world.path("run/given/2/token");
    const std::string kept = exists(given) ? given : stage.world.path("run/vm/2.token");
    REQUIRE(::stat(kept.c_str(), &token) == 0);
    CHECK((token.st_mode & 0777) == 0400);
    CHECK(read_file(stage.world.images("7-tiny/etc/qvd/agent.token")) == "");
    stage.destroy(vm);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("one incarnation runs at a time, and repeating its start is no second one") {
    Stage stage;
    VmOrder first(stage.world, 5, 1);
    VmOrder second(stage.world, 5, 2);
    stage.must_start(first);
    const int keeper = stage.state(first).pid;
    stage.must_start(first);
    CHECK(stage.state(first).pid == keeper);
    CallStandIn call;
    CHECK(stage.start(second, call) == QVD_CONFLICT);
    CHECK(call.sentence.find("incarnation 1") != std::string::npos);
    stage.destroy(first);
    stage.must_start(second);
    CHECK(stage.state(second).incarnation == 2);
    stage.destroy(second);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("what a VM changed stays if its disk is persistent, and is gone otherwise") {
    Stage stage([](const std::string& root) {
        boot_does(root,
                  "test -e /kept && echo yes > /var/www/seen || echo no > /var/www/seen\n"
                  "touch /kept\n");
        fs::create_symlink("busybox", root + "/bin/test");
    });
    for (const bool persistent : {true, false}) {
        VmOrder first(stage.world, 8, 1);
        VmOrder second(stage.world, 8, 2);
        first.persistent = second.persistent = persistent;
        if (persistent) {
            stage.must_start(first);
            CHECK(fetch(first.address(), "seen") == "no\n");
            stage.destroy(first);
        }
        stage.must_start(second);
        CHECK(fetch(second.address(), "seen") == (persistent ? "yes\n" : "no\n"));
        stage.destroy(second);
    }
    CHECK(eventually([&] {  // what was discarded goes in the background
        const fs::directory_iterator entries(stage.world.changes(""));
        return std::none_of(fs::begin(entries), fs::end(entries), [](const auto& entry) {
            return entry.path().filename().string().starts_with("deleteme-");
        });
    }));
}

TEST_CASE("a container that powers itself off has stopped; one that restarts itself runs on") {
    Stage stage([](const std::string& root) {
        write_file(root + "/var/www/cgi-bin/off", "#!/bin/sh\necho; poweroff\n", 0755);
        write_file(root + "/var/www/cgi-bin/again", "#!/bin/sh\necho; touch /again; reboot\n",
                   0755);
        boot_does(root, "[ -e /again ] && echo yes > /var/www/again\n");
    });
    VmOrder vm(stage.world, 12);
    stage.must_start(vm);
    REQUIRE(fetch(vm.address(), "index.html") == "hello\n");
    fetch(vm.address(), "cgi-bin/again", std::chrono::milliseconds(1));
    CHECK(fetch(vm.address(), "again") == "yes\n");
    CHECK(stage.state(vm).state == QVD_VM_RUNNING);
    fetch(vm.address(), "cgi-bin/off", std::chrono::milliseconds(1));
    const Told told = stage.backend->core().report_of(12);
    CHECK(told.state == QVD_VM_STOPPED);
    CHECK(told.sentence == "it shut itself down");
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("an OSF's properties limit its containers, and what is no limit starts none") {
    Stage stage;
    VmOrder vm(stage.world, 17);
    vm.properties = {
        {"vm.lxc.cpu.shares", "50"}, {"vm.lxc.cpuset", "0"}, {"vm.lxc.processes.max", "77"}};
    stage.must_start(vm);
    const std::string name =
        "/lxc.payload." + stage.world.configuration["internal.vm.lxc.name.prefix"] + "17/";
    const auto limit = [&](const char* controller, const char* first, const char* second) {
        const std::string one = "/sys/fs/cgroup/" + std::string(controller) + name + first;
        return read_file(exists(one) ? one : "/sys/fs/cgroup" + name + second);
    };
    CHECK(limit("pids", "pids.max", "pids.max") == "77\n");
    CHECK(limit("cpuset", "cpuset.cpus", "cpuset.cpus") == "0\n");
    const std::string shares = limit("cpu", "cpu.shares", "cpu.weight");
    CHECK((shares == "512\n" || shares == "50\n"));
    stage.destroy(vm);
    for (const auto& [key, value] :
         {std::pair("vm.lxc.cpuset", "all"), std::pair("vm.lxc.cpu.shares", "much")}) {
        VmOrder bad(stage.world, 18);
        bad.properties[key] = value;
        CallStandIn call;
        CHECK(stage.start(bad, call) == QVD_INVALID);
        CHECK(call.sentence.find(std::string(key) + " of this VM or its OSF") == 0);
    }
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("LXC's own tools see a container, and nothing of it is left for them afterwards") {
    Stage stage([](const std::string& root) {
        boot_does(root, "while read line; do echo heard $line; done < /dev/tty1 > /dev/tty1 &\n");
    });
    VmOrder vm(stage.world, 14);
    stage.must_start(vm);
    REQUIRE(fetch(vm.address(), "index.html") == "hello\n");
    const std::string name = stage.world.configuration["internal.vm.lxc.name.prefix"] + "14";
    const std::string where = " -P " + stage.world.path("run/vm") + " -n " + name;
    if (exists("/usr/bin/lxc-info")) {
        CHECK(std::system(("lxc-info" + where + " -s | grep -q RUNNING").c_str()) == 0);
        CHECK(std::system(("lxc-attach" + where +
                           " -- /bin/sh -c 'test -d /proc/1' || "
                           "lxc-attach" +
                           where + " -- /bin/hostname >/dev/null")
                              .c_str()) == 0);
    }
    if (exists("/usr/bin/lxc-console")) {
        const std::string folder = stage.world.path("run/vm");
        const std::string said =
            typed_to({"lxc-console", "-P", folder.c_str(), "-n", name.c_str(), "-t", "1"},
                     "hello\n", "heard hello");
        CHECK_MESSAGE(said.find("heard hello") != std::string::npos, said);
    }
    CHECK(exists(stage.world.path("run/vm/" + name + "/config")));
    stage.destroy(vm);
    CHECK_FALSE(exists(stage.world.path("run/vm/" + name)));
}

TEST_CASE("a paused container answers nobody, says so, goes on, and can be ended as it is") {
    Stage stage;
    VmOrder vm(stage.world, 16);
    stage.must_start(vm);
    REQUIRE(fetch(vm.address(), "index.html") == "hello\n");
    const auto call = [&](auto function) {
        CallStandIn made;
        const qvd_status status = function(stage.backend->self(), vm.raw(), made.raw());
        CHECK_MESSAGE(status == QVD_OK, made.sentence);
    };
    call(stage.backend->table().pause);
    CHECK(stage.state(vm).state == QVD_VM_PAUSED);
    CHECK(stage.survey().front().state == QVD_VM_PAUSED);
    CHECK(fetch(vm.address(), "index.html", std::chrono::milliseconds(300)) == "");
    call(stage.backend->table().unpause);
    CHECK(stage.state(vm).state == QVD_VM_RUNNING);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    call(stage.backend->table().pause);
    call(stage.backend->table().stop);
    CHECK(stage.backend->core().report_of(16).state == QVD_VM_STOPPED);
    VmOrder next(stage.world, 16, 2);
    stage.must_start(next);
    CallStandIn pausing;
    CHECK(stage.backend->table().pause(stage.backend->self(), next.raw(), pausing.raw()) == QVD_OK);
    stage.destroy(next);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("the console is a socket to talk to, and a bounded log") {
    Stage stage([](const std::string& root) {
        write_file(
            root + "/etc/inittab",
            "::sysinit:/bin/echo welcome\n::respawn:/bin/sh\n::respawn:/bin/httpd -f -p 8080 "
            "-h /var/www\n");
    });
    stage.world.configuration["vm.lxc.console.size"] = "4";
    stage.backend->drop();
    stage.backend = std::make_unique<Backend>(stage.world);
    VmOrder vm(stage.world, 13);
    stage.must_start(vm);
    CallStandIn call;
    REQUIRE(stage.backend->table().console(stage.backend->self(), vm.raw(), call.raw()) == QVD_OK);
    REQUIRE(call.endpoints.size() == 1);
    const int console = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, call.endpoints[0].c_str(), sizeof to.sun_path - 1);
    REQUIRE(::connect(console, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    const std::string typed =
        "echo $((6*7)) > /var/www/typed; head -c 20000 /bin/busybox | "
        "busybox od | cat; echo over > /var/www/over\n";
    CHECK(eventually([&] {  // a shell that is just beginning throws away what was typed before
        static_cast<void>(::send(console, typed.data(), typed.size(), MSG_NOSIGNAL));
        return fetch(vm.address(), "typed", std::chrono::milliseconds(500)) == "42\n";
    }));
    CHECK(fetch(vm.address(), "over") == "over\n");
    char bytes[64];
    CHECK(::read(console, bytes, sizeof bytes) > 0);
    ::close(console);
    CHECK(eventually([&] { return exists(stage.world.path("run/vm/13.console.log.1")); }));
    const auto size = [&](const char* name) {
        std::error_code turning;  // the file is missing for a moment when the log is turned over
        const auto size_now = fs::file_size(stage.world.path(name), turning);
        return turning ? std::uintmax_t{0} : size_now;
    };
    CHECK(size("run/vm/13.console.log") <= 4096);
    CHECK(size("run/vm/13.console.log.1") <= 4096);
    stage.destroy(vm);
}

TEST_CASE("a home is one VM's at a time") {
    Stage stage;
    VmOrder one(stage.world, 16);
    VmOrder two(stage.world, 17);
    one.home = two.home = stage.world.path("homefs/alice");
    stage.must_start(one);
    CallStandIn call;
    CHECK(stage.start(two, call) == QVD_UNAVAILABLE);
    CHECK_MESSAGE(call.sentence.find("its home is used by VM 16, which runs") != std::string::npos,
                  call.sentence);
    CHECK(fetch(one.address(), "index.html") == "hello\n");
    stage.destroy(one);
    VmOrder again(stage.world, 17, 2);
    again.home = two.home;
    stage.must_start(again);
    stage.destroy(again);
    CHECK(stage.world.left_overs() == "");
}

TEST_CASE("a deleted VM leaves neither changes nor home") {
    Stage stage;
    VmOrder vm(stage.world, 15);
    vm.persistent = true;
    vm.home = stage.world.path("homefs/15-fs");
    stage.must_start(vm);
    stage.destroy(vm);
    CHECK(exists(stage.world.changes_of(15)));
    CallStandIn call;
    CHECK(stage.backend->table().remove_vm(stage.backend->self(), vm.raw(), call.raw()) == QVD_OK);
    CHECK_FALSE(exists(stage.world.changes_of(15)));
    CHECK_FALSE(exists(stage.world.changes("15-overlayfs-work")));
    CHECK_FALSE(exists(stage.world.path("homefs/15-fs")));
    CHECK(eventually([&] {
        return fs::is_empty(stage.world.changes("")) && fs::is_empty(stage.world.path("homefs"));
    }));
}

TEST_CASE("twenty containers run beside each other, and their keepers are small") {
    Stage stage;
    std::vector<std::unique_ptr<VmOrder>> vms;
    const auto before = std::chrono::steady_clock::now();
    for (std::uint64_t id = 100; id < 120; ++id) {
        vms.push_back(std::make_unique<VmOrder>(stage.world, id));
        stage.must_start(*vms.back());
    }
    const auto started = std::chrono::steady_clock::now();
    for (const auto& vm : vms) CHECK(fetch(vm->address(), "index.html") == "hello\n");
    CHECK(stage.survey().size() == 20);
    int keeper_kib = 0;
    int container_kib = 0;
    for (const auto& vm : vms) {
        const int keeper = stage.state(*vm).pid;
        keeper_kib += status_number(keeper, "Pss:");
        const std::string pid = std::to_string(keeper);
        std::istringstream children(read_file("/proc/" + pid + "/task/" + pid + "/children"));
        int liblxc = 0;
        children >> liblxc;
        container_kib += status_number(liblxc, "Pss:");
    }
    MESSAGE("20 starts: "
            << std::chrono::duration_cast<std::chrono::milliseconds>(started - before).count()
            << " ms; a keeper " << keeper_kib / 20 << " KiB, liblxc's process "
            << container_kib / 20 << " KiB (PSS)");
#ifndef QVD_SANITIZED  // which takes memory of its own
    CHECK((keeper_kib + container_kib) / 20 <= 1536);
#endif
    for (const auto& vm : vms) stage.destroy(*vm);
    CHECK(stage.survey().empty());
    CHECK(stage.world.left_overs() == "");
}
