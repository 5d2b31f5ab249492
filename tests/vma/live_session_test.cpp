// The whole life of a session: the real agent, the distribution's nxagent in the "VM", its nxproxy
// and an X server at the "client". Makes a user on this machine and takes him away again.
#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/vma/running_agent.hpp"
#include "vma/watched_process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/un.h>

#include <cstdio>
#include <fstream>
#include <random>

using namespace qvd;
using namespace qvd::vma;
using testing::Child;
using testing::Folder;
using testing::RunningAgent;
using testing::wait_until;

namespace {

std::string missing_program() {
    for (const char* path :
         {"/usr/bin/nxagent", "/usr/bin/nxproxy", "/usr/bin/xinit", "/usr/bin/Xvfb",
          "/usr/bin/xterm", "/usr/sbin/useradd", "/usr/sbin/userdel"})
        if (::access(path, X_OK) != 0) return path;
    return "";
}

// A display whose X socket, lock and NX port nobody uses.
int free_display() {
    static int next = 300 + static_cast<int>(std::random_device{}() % 5000);
    for (int display = next++;; display = next++) {
        const std::string number = std::to_string(display);
        bool taken = std::filesystem::exists("/tmp/.X" + number + "-lock") ||
                     std::filesystem::exists("/tmp/.X11-unix/X" + number);
        const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(4000 + display));
        if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            taken = true;
        if (!taken) return display;
    }
}

// The X server on the client's desk.
class Desk {
public:
    Desk() {
        const int display = free_display();
        number_ = ":" + std::to_string(display);
        server_.start({"Xvfb", number_, "-screen", "0", "1024x768x24", "-nolisten", "tcp"},
                      folder_.at("xvfb"));
        const std::string socket = "/tmp/.X11-unix/X" + std::to_string(display);
        // The file is there before the server listens on it.
        if (!wait_until([&] { return answers(socket); }))
            throw std::runtime_error("Xvfb does not start: " + folder_.read("xvfb"));
    }
    // A client that connects to the NX port of `display`.
    void connect(Child& client, int display) const {
        client.start({"nxproxy", "-S", "localhost:" + std::to_string(display)},
                     folder_.at("nxproxy"), {"DISPLAY=" + number_, "HOME=" + folder_.at("")});
    }

    static bool answers(const std::string& path) {
        const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    [[nodiscard]] std::string said() const { return folder_.read("nxproxy"); }

private:
    Folder folder_;
    std::string number_;
    Child server_;
};

// One VM with its agent, user, and a session of one xterm.
class Machine {
public:
    explicit Machine(const std::string& further = "")
        : agent("internal.nxagent.display = " + std::to_string(display) + "\n" + further +
                "\ncommand.x-session = " +
                scripts_.write("session",
                               "#!/bin/sh\necho $$ > $HOME/application\nexec xterm -e sleep 1000\n",
                               0755) +
                "\n") {}
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    ~Machine() {
        client.end(SIGKILL);
        if (agent.child.pid() != 0 && agent.call("x_stop").ok()) CHECK(agent.reaches("stopped"));
        Child removal({"userdel", "-f", user}, agent.folder.at("userdel"));
        removal.end(0);
    }

    [[nodiscard]] agent::Parameters parameters() const {
        return {{"qvd.vm.id", "7"},
                {"qvd.vm.user.name", user},
                {"qvd.client.link", "lan"},
                {"qvd.client.keyboard", "pc105/us"},
                {"qvd.client.geometry", "800x600"}};
    }
    void start() const {
        const auto started = agent.call("x_start", parameters());
        REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().sentence()));
        CHECK(started->text == "starting");
        REQUIRE_MESSAGE(agent.reaches("listening"), agent.call("x_reason").value().text);
    }
    void attach() {
        desk.connect(client, display);
        const bool connected = agent.reaches("connected");
        REQUIRE_MESSAGE(connected, story());
    }
    // What everybody wrote, for a failure's sake.
    [[nodiscard]] std::string story() const {
        const std::string output = agent.folder.read("log/qvd-nxagent.log");
        return agent.log() + "\n" +
               output.substr(output.size() - std::min<std::size_t>(output.size(), 4000)) + "\n" +
               desk.said();
    }
    // The xterm of the session, 0 if there is none.
    [[nodiscard]] pid_t application() const {
        const std::string text = agent.folder.read("home/" + user + "/application");
        const auto pid = text.empty() ? 0 : static_cast<pid_t>(std::stol(text));
        return pid != 0 && ::kill(pid, 0) == 0 ? pid : 0;
    }
    [[nodiscard]] pid_t application_once_it_runs() const {
        CHECK(wait_until([this] { return application() != 0; }));
        return application();
    }
    [[nodiscard]] bool port_is_bound() const {
        const passwd* const entry = ::getpwnam(user.c_str());
        return entry != nullptr &&
               is_listening(static_cast<std::uint16_t>(4000 + display), entry->pw_uid);
    }
    [[nodiscard]] pid_t nxagent() const {
        return static_cast<pid_t>(std::stol(agent.folder.read("run/nxagent.pid")));
    }

private:
    Folder scripts_;

public:
    const int display = free_display();
    const std::string user = "qvdt" + std::to_string(::getpid());
    RunningAgent agent;
    Desk desk;
    Child client;
};

}  // namespace

TEST_CASE("a session is started, left, found again with the same application, and stopped") {
    Machine vm;
    vm.start();
    CHECK(vm.port_is_bound());
    vm.attach();
    const pid_t application = vm.application_once_it_runs();
    const auto facts = facts_of(application);
    REQUIRE(facts.has_value());
    CHECK(facts->uid == facts_of(vm.nxagent())->uid);
    CHECK(facts->uid != 0);

    vm.client.end(SIGKILL);
    REQUIRE(vm.agent.reaches("suspended"));
    CHECK_FALSE(vm.port_is_bound());
    CHECK(vm.application() == application);

    vm.start();
    vm.attach();
    CHECK(vm.application() == application);

    CHECK(vm.agent.call("x_suspend").value().text == "starting");
    REQUIRE(vm.agent.reaches("suspended"));
    vm.client.end(SIGKILL);
    CHECK(vm.application() == application);

    CHECK(vm.agent.call("x_stop").value().text == "stopping");
    REQUIRE(vm.agent.reaches("stopped"));
    CHECK(wait_until([&] { return vm.application() == 0; }));
    CHECK(vm.agent.folder.read("run/nxagent.state").empty());
    CHECK(vm.agent.call("x_reason").value().kind == agent::Value::Kind::null);
    MESSAGE("resident after a session: " << vm.agent.resident() << " KiB");
}

TEST_CASE("who asks for a session in use puts its user out and gets it at the next try") {
    Machine vm;
    vm.start();
    vm.attach();
    const pid_t application = vm.application_once_it_runs();
    const auto refused = vm.agent.call("x_start", vm.parameters());
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "agent.session_busy");
    REQUIRE(vm.agent.reaches("suspended"));
    vm.client.end(SIGKILL);
    vm.start();
    vm.attach();
    CHECK(vm.application() == application);
}

TEST_CASE("a resume right behind a suspension is not lost") {
    Machine vm;
    vm.start();
    vm.attach();
    for (int round = 0; round < 3; ++round) {
        vm.client.end(SIGKILL);
        // As close behind it as can be.
        CHECK(wait_until([&] { return vm.agent.call("x_start", vm.parameters()).ok(); }));
        REQUIRE(vm.agent.reaches("listening"));
        vm.attach();
    }
}

TEST_CASE("a session outlives its agent, and the next agent goes on with it") {
    Machine vm;
    vm.start();
    vm.attach();
    const pid_t application = vm.application_once_it_runs();
    vm.agent.child.end(SIGKILL);
    // What happens while there is no agent.
    vm.client.end(SIGKILL);
    const std::string log = vm.agent.folder.at("log/qvd-nxagent.log");
    REQUIRE(wait_until([&] {
        return file::read(log).value().find("Session: Session suspended") != std::string::npos;
    }));
    CHECK(vm.application() == application);
    vm.agent.start();
    REQUIRE(vm.agent.reaches("suspended"));
    vm.start();
    vm.attach();
    CHECK(vm.application() == application);
    vm.agent.child.end(SIGTERM);
    vm.agent.start();
    CHECK(vm.agent.state() == "connected");
    CHECK(vm.agent.call("x_stop").ok());
    CHECK(vm.agent.reaches("stopped"));
}

TEST_CASE("a resumed session that waits for a client can be suspended and stopped") {
    Machine vm;
    vm.start();
    vm.attach();
    const pid_t application = vm.application_once_it_runs();
    vm.client.end(SIGKILL);
    REQUIRE(vm.agent.reaches("suspended"));
    vm.start();
    CHECK(vm.agent.call("x_suspend").ok());
    REQUIRE(vm.agent.reaches("suspended"));
    CHECK(vm.application() == application);
    vm.start();
    CHECK(vm.agent.call("x_stop").value().text == "stopping");
    CHECK(vm.agent.reaches("stopped"));
}

TEST_CASE("a client that never comes costs a new session, but not one with work in it") {
    Machine vm("internal.nxagent.timeout.listening = 5");
    vm.start();
    REQUIRE(vm.agent.reaches("stopped"));
    CHECK(vm.agent.call("x_reason").value().text.find("too long") != std::string::npos);
    vm.start();
    vm.attach();
    const pid_t application = vm.application_once_it_runs();
    vm.client.end(SIGKILL);
    REQUIRE(vm.agent.reaches("suspended"));
    vm.start();
    REQUIRE(vm.agent.reaches("suspended"));
    CHECK(vm.application() == application);
}

TEST_CASE("a client that goes away before it came does not keep the next one out") {
    Machine vm("internal.nxagent.timeout.listening = 300");
    const auto accepted = [&vm] { return vm.agent.call("x_start", vm.parameters()).ok(); };
    vm.start();
    const auto refused = vm.agent.call("x_start", vm.parameters());
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "agent.session_busy");
    REQUIRE(wait_until(accepted, Milliseconds{15'000}));
    REQUIRE(vm.agent.reaches("listening"));
    vm.attach();
    const pid_t application = vm.application_once_it_runs();
    vm.client.end(SIGKILL);
    REQUIRE(vm.agent.reaches("suspended"));
    // Of a session with work in it only the offer is taken back.
    vm.start();
    CHECK_FALSE(accepted());
    REQUIRE(wait_until(accepted, Milliseconds{15'000}));
    REQUIRE(vm.agent.reaches("listening"));
    vm.attach();
    CHECK(vm.application() == application);
}

TEST_CASE("nxagent killed is a session stopped, and the next one starts on the same display") {
    Machine vm;
    vm.start();
    vm.attach();
    ::kill(vm.nxagent(), SIGKILL);
    REQUIRE(vm.agent.reaches("stopped"));
    vm.client.end(SIGKILL);
    vm.start();
}

TEST_CASE("each event of a session's life reaches executable and plugin, once and in its order") {
    const Folder notes;
    const std::string hook = notes.write("hook", R"(#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        qvd.hook.*) event=${1#qvd.hook.}; word=$2 ;;
        qvd.vm.user.name) user=$2 ;;
        qvd.vm.user.home) home=$2 ;;
    esac
    shift 2
done
echo "$event $word" >> )" + notes.at("heard") + R"(
[ "$word" != mount_home ] || mkdir -p "${home%/*}"
[ "$word" != add_user ] || useradd -m -d "$home" "$user"
)",
                                         0755);
    std::filesystem::create_directory(notes.at("plugins"));
    std::filesystem::copy(QVD_TEST_PLUGIN, notes.at("plugins/qvd-noticing.so"));
    std::string keys = "path.plugins = " + notes.at("plugins") +
                       "\nvma.hook.plugins = noticing\nnoticing.file = " + notes.at("noticed") +
                       "\n";
    for (const char* key :
         {"on_action.pre-connect", "on_action.connect", "on_action.suspend", "on_action.stop",
          "on_action.poweroff", "on_action.expire", "on_state.connected", "on_state.suspended",
          "on_state.disconnected", "on_provisioning.mount_home", "on_provisioning.add_user",
          "on_provisioning.after_add_user"})
        keys += "vma." + std::string(key) + " = " + hook + "\n";
    std::string user;
    const auto noticed = [&notes](const std::string& line) {
        return wait_until([&] { return notes.says("noticed", line, "action pre"); });
    };
    {
        Machine vm(keys);
        user = vm.user;
        vm.start();
        vm.attach();
        vm.client.end(SIGKILL);
        REQUIRE(vm.agent.reaches("suspended"));
        REQUIRE(noticed("state suspended"));
        vm.start();
        vm.attach();
        CHECK(vm.agent.call("x_suspend").ok());
        REQUIRE(vm.agent.reaches("suspended"));
        REQUIRE(noticed("state suspended"));  // hooks of a state run behind it
        CHECK(vm.agent.call("expire").ok());
        CHECK(vm.agent.call("x_stop").ok());
        REQUIRE(vm.agent.reaches("stopped"));
        REQUIRE(noticed("state disconnected"));
        CHECK(vm.agent.call("poweroff").ok());
    }
    CHECK(notes.read("heard") ==
          "on_action pre_connect\non_provisioning mount_home\non_provisioning add_user\n"
          "on_provisioning after_add_user\non_action connect\non_state connected\n"
          "on_action suspend\non_state suspended\n"
          "on_action pre_connect\non_action connect\non_state connected\n"
          "on_action suspend\non_state suspended\n"
          "on_action expire\non_action stop\non_state stopped\non_action poweroff\n");
    std::string expected;
    for (const char* line :
         {"action pre_connect (pre_connect)", "provisioning mount_home (mount_home)",
          "provisioning add_user (add_user)", "provisioning after_add_user (after_add_user)",
          "action connect (connect)", "state connected (connected)", "action suspend (suspend)",
          "state suspended (suspended)", "action pre_connect (pre_connect)",
          "action connect (connect)", "state connected (connected)", "action suspend (suspend)",
          "state suspended (suspended)", "action expire (expire)", "action stop (stop)",
          "state disconnected (stopped)", "action poweroff (poweroff)"})
        expected += std::string(line) + " vm=7 user=" + user + "\n";
    CHECK(notes.read("noticed") == expected);
}

TEST_CASE("a session cannot make the agent signal a process that is not its own") {
    const Folder scripts;
    Child bystander({"sleep", "1000"}, scripts.at("out"));
    Machine vm;
    const std::string claim =
        "Info: Agent running with pid '" + std::to_string(bystander.pid()) + "'.";
    vm.start();
    std::ofstream(vm.agent.folder.at("log/qvd-nxagent.log"), std::ios::app) << claim << "\n";
    vm.attach();
    CHECK(vm.nxagent() != bystander.pid());
    CHECK(vm.agent.call("x_stop").ok());
    CHECK(vm.agent.reaches("stopped"));
    CHECK(::kill(bystander.pid(), 0) == 0);
}

int main(int argc, char** argv) {
    if (::geteuid() != 0) return std::puts("skipped: only root can start sessions for users"), 77;
    if (const std::string missing = missing_program(); !missing.empty())
        return std::printf("skipped: there is no %s\n", missing.c_str()), 77;
    return doctest::Context(argc, argv).run();
}
