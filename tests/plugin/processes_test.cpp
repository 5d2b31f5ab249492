#include "plugin/processes.hpp"

#include "base/file.hpp"
#include "base/process_facts.hpp"
#include "tests/plugin/room.hpp"

#include <qvd/services.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>

namespace qvd::plugin {

using qvd::testing::lend;
using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::Signal;

namespace {

// A folder of records and a core that starts processes in it; whatever runs at the end is killed.
class Yard {
public:
    Yard() : pool_(2) {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "qvd-processes-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        open();
    }
    ~Yard() {
        const auto left = core().list("test");
        for (const ProcessStatus& process : left.value())
            if (process.state == ProcessStatus::State::running) ::kill(-process.pid, SIGKILL);
        close();
        pool_.join();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    Yard(const Yard&) = delete;
    Yard& operator=(const Yard&) = delete;

    // A later core that knows nothing but the records.
    void open() { core_ = std::make_unique<Processes>(pool_.get_executor(), folder_); }
    void close() { core_.reset(); }
    Processes& core() { return *core_; }
    [[nodiscard]] const std::string& folder() const { return folder_; }

private:
    boost::asio::thread_pool pool_;
    std::string folder_;
    std::unique_ptr<Processes> core_;
};

ProcessOrder shell(const std::string& label, const std::string& script) {
    ProcessOrder order;
    order.label = label;
    order.arguments = {"/bin/sh", "-c", script};
    order.close_output = true;
    return order;
}

// What `ended` was told, once.
struct End {
    Signal came;
    ProcessStatus process;
    int times = 0;

    Processes::Ended hear() {
        return [this](const ProcessStatus& ended) {
            process = ended;
            ++times;
            came.set();
        };
    }
};

}  // namespace

TEST_CASE("the end of a process is told once, with its exit code or its signal") {
    Yard yard;
    End exited;
    REQUIRE(yard.core().start("test", shell("vm-1", "exit 7"), exited.hear()).ok());
    REQUIRE(exited.came.wait());
    CHECK(exited.process.state == ProcessStatus::State::exited);
    CHECK(exited.process.exit_code == 7);
    CHECK(exited.process.label == "vm-1");
    End killed;
    REQUIRE(yard.core().start("test", shell("vm-1", "kill -9 $$"), killed.hear()).ok());
    REQUIRE(killed.came.wait());
    CHECK(killed.process.state == ProcessStatus::State::killed);
    CHECK(killed.process.exit_code == SIGKILL);
    CHECK(yard.core().list("test").value().empty());
    CHECK(killed.times == 1);
}

TEST_CASE("a label that runs is taken, and free again when the end was told") {
    Yard yard;
    End end;
    REQUIRE(yard.core().start("test", shell("vm-1", "exec sleep 600"), end.hear()).ok());
    const auto again = yard.core().start("test", shell("vm-1", "true"), {});
    REQUIRE_FALSE(again.ok());
    CHECK(again.error().code() == "process.runs");
    CHECK(yard.core().start("other", shell("vm-1", "true"), {}).ok());
    REQUIRE(yard.core().stop("test", "vm-1", std::chrono::seconds(60)).ok());
    REQUIRE(end.came.wait());
    CHECK(end.process.exit_code == SIGTERM);
    CHECK(yard.core().start("test", shell("vm-1", "true"), {}).ok());
    CHECK(yard.core().signal("test", "vm-9", SIGTERM).error().code() == "process.gone");
}

TEST_CASE("what does not heed TERM is killed after its grace, with its children") {
    Yard yard;
    End end;
    const std::string ready = yard.folder() + "/ready";
    REQUIRE(yard.core()
                .start("test",
                       shell("vm-1", "trap '' TERM; touch " + ready +
                                         "; while :; do sleep 600 & wait; done"),
                       end.hear())
                .ok());
    while (!std::filesystem::exists(ready)) std::this_thread::yield();
    REQUIRE(yard.core().stop("test", "vm-1", std::chrono::milliseconds(20)).ok());
    REQUIRE(end.came.wait());
    CHECK(end.process.exit_code == SIGKILL);
}

TEST_CASE("a secret comes by standard input, and nothing else of the core is open in a process") {
    Yard yard;
    End end;
    ProcessOrder order = shell("vm-1", "cat; ls /proc/$$/fd | tr '\\n' ' '; env; pwd");
    order.input = Secret{"hunter2\n"};
    order.environment = {"ONLY=this"};
    order.directory = "/usr";
    order.close_output = false;
    order.output_path = yard.folder() + "/output";
    REQUIRE(yard.core().start("test", order, end.hear()).ok());
    REQUIRE(end.came.wait());
    const std::string output = file::read(order.output_path).value();
    CHECK(output.find("hunter2\n0 1 2 ") == 0);
    CHECK(output.find("ONLY=this") != std::string::npos);
    CHECK(output.find("HOME=") == std::string::npos);
    CHECK(output.find("/usr\n") != std::string::npos);
    struct stat facts {};
    REQUIRE(::stat(order.output_path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777U) == 0600U);
}

TEST_CASE("what cannot be started leaves no record, and says why") {
    Yard yard;
    const auto code = [&](const ProcessOrder& order) {
        const auto started = yard.core().start("test", order, {});
        REQUIRE_FALSE(started.ok());
        return started.error();
    };
    ProcessOrder missing = shell("vm-1", "");
    missing.arguments = {"/no/such/program"};
    CHECK(code(missing).kind() == ErrorKind::not_found);
    CHECK(code(missing).sentence().find("/no/such/program") != std::string::npos);
    missing.arguments = {"sh"};
    CHECK(code(missing).code() == "process.program");
    CHECK(code(shell("../vm-1", "true")).code() == "process.label");
    CHECK(code(shell("Vm", "true")).code() == "process.label");
    CHECK(yard.core().list("test").value().empty());
}

TEST_CASE("a process outlives its core; the next one lists it, adopts it and hears its end") {
    Yard yard;
    End first;
    const auto started = yard.core().start("test", shell("vm-1", "exec sleep 600"), first.hear());
    REQUIRE(started.ok());
    yard.close();
    yard.open();
    const auto found = yard.core().list("test").value();
    REQUIRE(found.size() == 1);
    CHECK(found[0].pid == started->pid);
    CHECK(found[0].start_time == started->start_time);
    CHECK(found[0].state == ProcessStatus::State::running);
    // Not adopted yet, and still its label is taken.
    CHECK(yard.core().start("test", shell("vm-1", "true"), {}).error().code() == "process.runs");
    End second;
    REQUIRE(yard.core().adopt("test", found[0], second.hear()).ok());
    REQUIRE(yard.core().stop("test", "vm-1", std::chrono::seconds(60)).ok());
    REQUIRE(second.came.wait());
    CHECK(first.times == 0);
    CHECK(yard.core().list("test").value().empty());
}

TEST_CASE("what ended while no core watched is listed as gone, until somebody asks for it") {
    Yard yard;
    const auto started = yard.core().start("test", shell("vm-1", "exec sleep 600"), {});
    REQUIRE(started.ok());
    yard.close();
    REQUIRE(::kill(started->pid, SIGKILL) == 0);
    REQUIRE(::waitpid(started->pid, nullptr, 0) == started->pid);
    yard.open();
    const auto found = yard.core().list("test").value();
    REQUIRE(found.size() == 1);
    CHECK(found[0].state == ProcessStatus::State::gone);
    End end;
    CHECK(yard.core().adopt("test", found[0], end.hear()).error().code() == "process.gone");
    CHECK(yard.core().list("test").value().empty());
    CHECK(end.times == 0);
}

TEST_CASE("another process that got the same pid is not taken for the one that ended") {
    Yard yard;
    auto started = yard.core().start("test", shell("vm-1", "exec sleep 600"), {});
    REQUIRE(started.ok());
    yard.close();
    yard.open();
    ProcessStatus other = *started;
    other.start_time += 1;
    CHECK(yard.core().adopt("test", other, {}).error().code() == "process.gone");
    ::kill(-started->pid, SIGKILL);
}

TEST_CASE("adopting what this core holds already hands its end over to the new instance") {
    Yard yard;
    End first;
    const auto started = yard.core().start("test", shell("vm-1", "exec sleep 600"), first.hear());
    REQUIRE(started.ok());
    End second;
    REQUIRE(yard.core().adopt("test", *started, second.hear()).ok());
    REQUIRE(yard.core().signal("test", "vm-1", SIGKILL).ok());
    REQUIRE(second.came.wait());
    CHECK(first.times == 0);
    CHECK(second.times == 1);
}

TEST_CASE("a label from a plugin cannot lead out of the records' folder") {
    Yard yard;
    const std::string precious = yard.folder() + "/precious";
    REQUIRE(file::write_atomic(precious, "x", 0600).ok());
    ProcessStatus evil;
    evil.label = "../precious";
    evil.pid = 1 << 29;
    CHECK(yard.core().adopt("test", evil, {}).error().code() == "process.label");
    CHECK(std::filesystem::exists(precious));
}

TEST_CASE("through the service, ended() keeps to the lane and never comes after destroy()") {
    Puppet puppet;
    Room room;
    Yard yard;
    room.host.processes =
        std::make_unique<Processes>(room.host.workers().get_executor(), yard.folder());
    auto instance = room.make(QVD_HYPERVISOR, puppet);
    const auto* processes = static_cast<const qvd_processes_service*>(
        puppet.core->service(puppet.core, QVD_CORE_PROCESSES));
    REQUIRE(processes != nullptr);
    const qvd_str arguments[] = {lend("/bin/sh"), lend("-c"), lend("exec sleep 600")};
    Signal ended;
    qvd_process_order order{};
    order.size = sizeof order;
    order.flags = QVD_PROCESS_CLOSE_OUTPUT;
    order.label = lend("vm-1");
    order.arguments = QVD_ARRAY(arguments);
    order.ended = [](void* data, const qvd_process*) { static_cast<Signal*>(data)->set(); };
    order.data = &ended;
    int pid = 0;
    qvd_sink sink{sizeof(qvd_sink), 0, &pid,
                  [](void* data, qvd_kind, const void* record) {
                      *static_cast<int*>(data) = static_cast<const qvd_process*>(record)->pid;
                  },
                  nullptr};
    const auto start = [&] {
        return room
            .call(
                *instance,
                [&](qvd_call* call) { return processes->start(puppet.core, call, &order, &sink); })
            .status;
    };
    REQUIRE(start() == QVD_OK);
    CHECK(pid > 0);
    CHECK(start() == QVD_CONFLICT);
    CHECK(processes->stop(puppet.core, lend("vm-1"), 60'000) == QVD_OK);
    CHECK(ended.wait());
    CHECK(processes->signal(puppet.core, lend("vm-1"), 15) == QVD_NOT_FOUND);

    // One that is to end with its instance, which does not hear of it any more.
    Signal too_late;
    order.data = &too_late;
    order.flags |= QVD_PROCESS_END_WITH_CORE;
    REQUIRE(start() == QVD_OK);
    const int last = pid;
    Signal destroyed;
    puppet.destroy = [&] { destroyed.set(); };
    instance.reset();
    REQUIRE(destroyed.wait());
    room.turn_until([&] {
        const auto facts = facts_of(last);
        return !facts || facts->has_ended;
    });
    CHECK_FALSE(too_late.is_set());
}

}  // namespace qvd::plugin
