// The real qvd-node: what can be seen of it without a database, a user and a desktop.
#include "base/file.hpp"
#include "base/text.hpp"
#include "supervisor/launcher.hpp"
#include "tests/supervisor/scratch.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

using namespace qvd;

namespace {

void need_root() {
    if (::geteuid() == 0) return;
    std::fprintf(stderr, "skipped: a node must be started by root\n");
    std::exit(77);
}

std::string program() {
    const char* const other = ::getenv("QVD_NODE");
    return other == nullptr ? QVD_NODE : other;
}

bool eventually(const std::function<bool()>& holds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < until) {
        if (holds()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return holds();
}

struct Outcome {
    int status = -1;
    std::string output;  // both streams
};

// The program with the node.conf of this folder.
Outcome run_program_on(const Scratch& scratch, std::vector<std::string> words) {
    words.insert(words.begin(), {program(), "--config=" + scratch.path("node.conf")});
    const UniqueFd output{
        ::open(scratch.path("output").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    const pid_t pid = supervisor::run_program(words, output.get()).value();
    int wait_status = 0;
    REQUIRE(::waitpid(pid, &wait_status, 0) == pid);
    return {WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1,
            file::read(scratch.path("output")).value()};
}

// A folder with a node.conf, and the program run on it.
struct Node {
    Scratch scratch;
    bool started = false;

    explicit Node(const std::string& more = {}, const std::string& plugins = PLUGINS) {
        // The port is a file's: no two tests meet. Nobody answers at the database's address.
        std::ofstream(scratch.path("node.conf"))
            << "path.run = " << scratch.folder() << "\npath.log = " << scratch.folder()
            << "\npath.plugins = " << plugins
            << "\nl7r.address = 127.0.0.1\nl7r.port = " << 20000 + ::getpid() % 20000
            << "\nl7r.workers = 1\ndatabase.host = 127.0.0.1\ndatabase.port = 1\n"
               "internal.node.l7r.user = nobody\ninternal.node.broker.user = daemon\n"
            << more;
    }
    ~Node() {
        if (started) (void)run({"stop"});
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] Outcome run(std::vector<std::string> words) const {
        return run_program_on(scratch, std::move(words));
    }
    void start() {
        const Outcome outcome = run({"--daemon"});
        REQUIRE_MESSAGE(outcome.status == 0, outcome.output);
        started = true;
    }
    // The pid of the first process of a role.
    [[nodiscard]] std::string pid_of(const std::string& role) const {
        for (const std::string& line : text::split(run({"status"}).output, '\n')) {
            const auto words = text::split_list(line, ' ');
            if (words.size() > 2 && words[0] == role && words[1] == "pid") return words[2];
        }
        return {};
    }
    // A line of /proc/PID/status, without its name.
    [[nodiscard]] std::string fact(const std::string& role, const std::string& name) const {
        const std::string status = file::read("/proc/" + pid_of(role) + "/status").value_or({});
        for (const std::string& line : text::split(status, '\n'))
            if (line.starts_with(name + ":"))
                return std::string(text::trim(std::string_view(line).substr(name.size() + 1)));
        return {};
    }
};

const std::string lxc = "vm.hypervisor = lxc\n";

// One machine on its own: no database is asked, because none has been made.
struct Machine {
    Scratch scratch;

    explicit Machine(const std::string& more, const std::string& plugins = PLUGINS) {
        std::ofstream(scratch.path("node.conf"))
            << "path.run = " << scratch.folder() << "\npath.log = " << scratch.folder()
            << "\npath.plugins = " << plugins << "\npath.database = " << scratch.path("database")
            << "\n"
            << more;
    }
    [[nodiscard]] Outcome check() const { return run_program_on(scratch, {"--check-config"}); }
};

}  // namespace

TEST_CASE("workers and broker have given up what they do not need") {
    need_root();
    Node node;
    node.start();
    for (const std::string role : {"l7r", "broker"}) {
        CHECK_MESSAGE(eventually([&] { return node.fact(role, "NoNewPrivs") == "1"; }), role);
        CHECK(node.fact(role, "CapEff") == "0000000000000000");
        CHECK(node.fact(role, "CapBnd") == "0000000000000000");
        CHECK_FALSE(node.fact(role, "Uid").starts_with("0"));
    }
#ifndef QVD_SANITIZED  // whose system calls are not on the worker's list: it would not live
    CHECK(eventually([&] { return node.fact("l7r", "Seccomp") == "2"; }));
#endif
    CHECK(node.fact("hkd", "Uid").starts_with("0"));
}

TEST_CASE("a worker is told nothing but where to log and who to be") {
    need_root();
    Node node("database.password = hunter2\n");
    node.start();
    const std::string line = file::read("/proc/" + node.pid_of("l7r") + "/cmdline").value();
    CHECK(line.find("node.conf") == std::string::npos);
    const std::string variables =
        file::read("/proc/" + node.pid_of("l7r") + "/environ").value_or({});
    CHECK(variables.find("hunter2") == std::string::npos);
}

TEST_CASE("the verbs work and a reload keeps the pid") {
    need_root();
    Node node;
    CHECK(node.run({"status"}).status == 3);
    node.start();
    const std::string pid = file::read(node.scratch.path("qvd-node.pid")).value();
    CHECK(node.run({"status"}).output.find("pid " + std::string(text::trim(pid))) !=
          std::string::npos);
    CHECK(node.run({"status", "--json"}).output.starts_with("{\"version\":"));
    const std::string before = node.pid_of("hkd");
    const Outcome reloaded = node.run({"reload"});
    CHECK_MESSAGE(reloaded.status == 0, reloaded.output);
    CHECK(file::read(node.scratch.path("qvd-node.pid")).value() == pid);
    CHECK(eventually([&] { return !node.pid_of("hkd").empty() && node.pid_of("hkd") != before; }));
    const Outcome stopped = node.run({"stop"});
    CHECK(stopped.status == 0);
    CHECK(stopped.output == "stopped\n");
    node.started = false;
}

TEST_CASE("after a reload the processes of before write to the new log, too") {
    need_root();
    Node node;
    node.start();
    // Confined, and waiting for its broker to be configured.
    REQUIRE(eventually([&] { return node.fact("l7r", "NoNewPrivs") == "1"; }));
    const std::string worker = node.pid_of("l7r");
    const std::string moved = node.scratch.path("qvd.log.1");
    std::filesystem::rename(node.scratch.path("qvd.log"), moved);
    REQUIRE(node.run({"reload"}).status == 0);
    CHECK(eventually([&] {
        const std::string log = file::read(node.scratch.path("qvd.log")).value_or({});
        return log.find(" " + worker + " info qvd-node/l7r event=l7r.drain") != std::string::npos &&
               log.find("event=node.reloaded") != std::string::npos;
    }));
    CHECK(file::read(moved).value().find("l7r.drain") == std::string::npos);
}

TEST_CASE("a reload with a mistake in the file is refused with file and line") {
    need_root();
    Node node;
    node.start();
    std::ofstream(node.scratch.path("node.conf"), std::ios::app) << "l7r.workers = many\n";
    const Outcome refused = node.run({"reload"});
    CHECK(refused.status == 1);
    CHECK(refused.output.find("node.conf:11: l7r.workers: \"many\" will not do") !=
          std::string::npos);
    CHECK(node.run({"status"}).status == 0);
}

TEST_CASE("--check-config prints what it found") {
    const Outcome found = Machine(lxc).check();
    CHECK_MESSAGE(found.status == 0, found.output);
    CHECK(found.output.find("plugin weighted") != std::string::npos);
    CHECK(found.output.ends_with("\ngood\n"));
    // A value that will not do hides neither a misspelt key nor a missing plugin.
    const Outcome wrong =
        Machine(lxc + "l7r.prt = 1\nlog.level = LOUD\nl7r.loadbalancer.plugin = wieghted\n")
            .check();
    CHECK(wrong.status == 78);
    CHECK(wrong.output.find("there is no key \"l7r.prt\"; did you mean \"l7r.port\"?") !=
          std::string::npos);
    CHECK(wrong.output.find("node.conf:7: log.level: \"LOUD\" will not do") != std::string::npos);
    CHECK(wrong.output.find("node.conf:8: l7r.loadbalancer.plugin: balancer \"wieghted\" is not "
                            "installed: there is no " PLUGINS
                            "/qvd-wieghted.so") != std::string::npos);
}

TEST_CASE("--check-config refuses every plugin that a node could not have") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"",
         "vm.hypervisor is not set, and its default is kvm: hypervisor \"kvm\" is not "
         "installed: there is no " PLUGINS "/qvd-kvm.so (installed hypervisors: lxc-unionfs)"},
        {"vm.hypervisor = nonsense\n", ":5: vm.hypervisor: hypervisor \"nonsense\" is not"},
        {lxc + "hkd.hypervisor.plugins = random,xx\n",
         ":6: hkd.hypervisor.plugins: the plugin random is no hypervisor"},
        {lxc + "hkd.hypervisor.plugins = random,xx\n",
         ":6: hkd.hypervisor.plugins: hypervisor \"xx\" is not installed"},
        {lxc + "l7r.auth.plugins =\n", ":6: l7r.auth.plugins: \"\" will not do"},
        {lxc + "vm.lxc.init = sbin/init\n", ":6: vm.lxc.init: \"sbin/init\" will not do"},
        {lxc + "vm.lxc.conf.extra = nonsense\n", ":5: vm.hypervisor: "},
    };
    for (const auto& its : cases) {
        const Outcome found = Machine(its.first).check();
        CHECK_MESSAGE(found.status == 78, its.first);
        CHECK_MESSAGE(found.output.find(its.second) != std::string::npos, found.output);
    }
}

TEST_CASE("--check-config refuses a text that is none of those that the key may have") {
    for (const std::string line :
         {"vm.network.netmask = 99", "vm.network.ip.start = abc", "vm.network.gateway = x",
          "vm.network.dns_server = xx", "vm.network.mac.prefix = zz",
          "vm.network.bridge = a-name-of-24-characters-", "l7r.address = foo bar",
          "l7r.ssl.options.SSL_cipher_list = NOSUCH", "vm.lxc.unionfs.type = zfs",
          "database.host = a b", "nodename =", "log4perl.rootLogger = NOISE",
          "my.own = ${unclosed"}) {
        const Outcome found = Machine(lxc + line + "\n").check();
        CHECK_MESSAGE(found.status == 78, line);
        CHECK_MESSAGE(found.output.find("node.conf:6: " + line.substr(0, line.find(' '))) !=
                          std::string::npos,
                      found.output);
    }
    const Outcome outside =
        Machine(lxc + "vm.network.netmask = 24\nvm.network.ip.start = 10.0.0.1\n").check();
    CHECK(outside.status == 78);
    CHECK(outside.output.find("node.conf:7: vm.network.ip.start") != std::string::npos);
}

TEST_CASE("--check-config does not guess what a farm's database says") {
    const Node node;
    const Outcome found = node.run({"--check-config"});
    CHECK_MESSAGE(found.status == 0, found.output);
    CHECK(found.output.find(
              "warning: unless the database says otherwise: vm.hypervisor is not set") !=
          std::string::npos);
    CHECK(found.output.ends_with("good, as far as the file alone can tell\n"));
}

TEST_CASE("--check-config warns of a password that everybody can read") {
    const Machine machine(lxc + "database.password = hunter2\n");
    ::chmod(machine.scratch.path("node.conf").c_str(), 0644);
    const Outcome open = machine.check();
    CHECK(open.status == 0);
    CHECK(open.output.find(":6: database.password can be read by others than root: chmod 0600 ") !=
          std::string::npos);
    CHECK(open.output.find("hunter2") == std::string::npos);
    ::chmod(machine.scratch.path("node.conf").c_str(), 0600);
    CHECK(machine.check().output.find("chmod") == std::string::npos);
}

TEST_CASE("a plugin that crashes when it is loaded is a line of the report") {
    const Machine machine(lxc, CRASHING_PLUGINS);
    const Outcome found = machine.check();
    CHECK(found.status == 78);
    CHECK(found.output.find("plugin crashing: " CRASHING_PLUGINS
                            "/qvd-crashing.so: it ends the process that loads it with signal "
                            "SIGABRT") != std::string::npos);
    // The check has gone on behind it.
    CHECK(found.output.find("hypervisor \"lxc\" is not installed") != std::string::npos);
    const Outcome used = Machine("l7r.loadbalancer.plugin = crashing\n", CRASHING_PLUGINS).check();
    CHECK(used.status == 78);
    CHECK(used.output.find("loading the plugins ended with signal 6") != std::string::npos);
}

TEST_CASE("a plugin that nobody uses takes no role down, whatever its file does") {
    need_root();
    const Scratch plugins;
    // The broker has given up root when it looks there.
    REQUIRE(::chmod(plugins.folder().c_str(), 0755) == 0);
    for (const char* name : {"qvd-default.so", "qvd-weighted.so"})
        std::filesystem::create_symlink(std::string(PLUGINS) + "/" + name, plugins.path(name));
    std::filesystem::create_symlink(CRASHING_PLUGINS "/qvd-crashing.so",
                                    plugins.path("qvd-crashing.so"));
    Node node({}, plugins.folder());
    node.start();
    const auto logged = [&](const std::string& words) {
        return file::read(node.scratch.path("qvd.log")).value_or({}).find(words) !=
               std::string::npos;
    };
    CHECK(eventually([&] { return logged("event=plugin.unusable plugin=crashing"); }));
    CHECK(
        eventually([&] { return logged("event=broker.started") && logged("event=hkd.started"); }));
    CHECK_FALSE(logged("SIGABRT)"));
}

TEST_CASE("a wrong command line says what is wrong") {
    const Node node;
    CHECK(node.run({"--version"}).output.starts_with("qvd-node "));
    CHECK(node.run({"--help"}).output.find("stop --vms") != std::string::npos);
    for (const std::string word : {"dance", "--dance", "--vms", "--role=cook", "--instance"}) {
        const Outcome outcome = node.run({word});
        CHECK_MESSAGE(outcome.status == 64, word);
        CHECK(outcome.output.find("--help") != std::string::npos);
    }
}

TEST_CASE("a configuration that cannot be read keeps a node from starting") {
    need_root();
    const Node node("path.run = relative\n");
    const Outcome outcome = node.run({});
    CHECK(outcome.status == 78);
    CHECK(outcome.output.find("path.run") != std::string::npos);
}
