// A pretended node for tests of hkd: time is turned by hand, VMs are entries in a table, and hkd
// may be killed at any point and started again over the same database and the same VMs.
#pragma once

#include "hkd/agent_calls.hpp"
#include "hkd/backend.hpp"
#include "hkd/spawn.hpp"
#include "hkd/vms.hpp"
#include "store/memory_store.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <list>
#include <memory>
#include <optional>
#include <set>

namespace qvd::hkd::test {

// How the next VM to start behaves.
struct Temper {
    Milliseconds image{5};  // to prepare its image
    Milliseconds launch{10};
    bool launches = true;
    std::optional<Milliseconds> agent_after{Milliseconds{300}};  // never, if there is none
    std::optional<Milliseconds> dies_after;
    bool accepts_poweroff = true;  // agent
    bool heeds_stop = true;        // of the hypervisor
    Milliseconds to_shut_down{200};
    int destroys_that_fail = 0;
};

struct Process {
    std::string hypervisor;
    std::string uuid;
    VmId vm;
    std::int64_t incarnation = 0;
    Temper temper;
    Clock::time_point started;
    bool mute = false;
    bool paused = false;
    std::string why_paused = {};  // by its hypervisor
    int errno_of_pause = 0;
    std::string token = {};  // of its agent
};

class World {
public:
    FakeClock clock;
    Temper temper;                               // of VMs started from now on
    std::map<std::string, Process> processes;    // by uuid
    std::set<std::string> left_overs;            // uuids with mounts, devices ... on the node
    std::vector<std::string> violations;         // of the contract with backends
    std::map<std::string, Process> saved;        // suspended ones, by uuid
    std::map<std::string, Process> away;         // neither running nor saved: on the way to disk
    std::map<std::string, Process> checkpoints;  // by their folders, which are real
    std::map<std::string, std::string> homes;    // mounted ones, and whose: uuids
    std::optional<Error> refuses;                // what every order but start and stop is answered
    Milliseconds order_takes{5};
    Milliseconds away_for{0};  // on top, how long a VM is not there that is suspended or copied
    bool state_is_told = true;
    bool stays_away = false;  // after a checkpoint: its memory is left on disk
    int starting = 0;         // calls of start() under way
    int most_starting = 0;
    int image_calls = 0;
    int expiries_told = 0;  // calls of an agent's expire hook
    int most_booting = 0;   // at once, launched and without an answer
    bool broker_down = false;
    std::set<std::string> silent;  // hypervisors that do not answer a survey
    Milliseconds survey_takes{3};
    Milliseconds usage_takes{0};
    std::set<std::string> hanging;                 // hypervisors that do not say what a VM uses
    Neighbour neighbour = Neighbour::present;      // what the kernel has heard of every VM
    std::optional<plugin::NodeCapacity> capacity;  // what the hypervisor says; none: it has no word
    Milliseconds capacity_takes{0};
    std::vector<plugin::ConsoleEndpoint> endpoints;  // of every VM

    void at(Clock::time_point when, std::function<void()> happen);
    // Whoever listens hears of it, if hkd lives.
    void end(const std::string& uuid, plugin::BackendState how, const std::string& sentence);
    // What mounts the VM's home, and what undoes that; a second mount is a violation.
    void mount_home(const VmPlan& vm);
    void unmount_homes(const std::string& uuid);
    void end_later(const Process& process, Milliseconds time, plugin::BackendState how,
                   const std::string& sentence);
    void shut_down(const Process& process);
    std::function<void(const FoundVm&)> hear;

    [[nodiscard]] bool agent_answers(const Process& process) const;
    [[nodiscard]] std::optional<Clock::time_point> next_event() const;
    void run_events();

private:
    std::multimap<Clock::time_point, std::function<void()>> events_;
};

// Alarms that the world's clock rings.
class FakeSchedule final : public Schedule {
public:
    FakeSchedule(World& world, boost::asio::io_context& loop) : world_(world), loop_(loop) {}
    [[nodiscard]] const Clock& clock() const override { return world_.clock; }
    [[nodiscard]] std::unique_ptr<Alarm> alarm() override;
    [[nodiscard]] std::optional<Clock::time_point> next() const;
    void ring_due();

private:
    class FakeAlarm;
    World& world_;
    boost::asio::io_context& loop_;
    std::list<FakeAlarm*> alarms_;
};

class FakeBackend final : public Backend {
public:
    FakeBackend(World& world, Schedule& schedule) : world_(world), schedule_(schedule) {}
    Token listen(std::function<void(const FoundVm&)> hear) override;
    Result<void> know(const std::string& hypervisor) override;
    Async<void> collect(std::vector<std::string> keep_uuids) override;
    Async<Survey> survey() override;
    Async<void> prepare_image(ImagePlan image, Deadline deadline, Progress progress) override;
    Async<void> start(VmPlan vm, Deadline deadline) override;
    Async<void> stop(VmPlan vm, Deadline deadline) override;
    Async<void> destroy(VmPlan vm, Deadline deadline) override;
    Async<FoundVm> state(VmPlan vm, Deadline deadline) override;
    Async<plugin::VmUsageStatus> usage(VmPlan vm, Deadline deadline) override;
    Async<std::vector<plugin::ConsoleEndpoint>> console(VmPlan vm, Deadline deadline) override;
    Async<std::string> carry_out(VmPlan vm, VmCommand command, std::string argument,
                                 Deadline deadline) override;
    Async<plugin::NodeCapacity> capacity(Deadline deadline) override;

private:
    struct Call {
        Call(FakeBackend& its_backend, std::string its_uuid, const char* name)
            : backend(its_backend), uuid(std::move(its_uuid)) {
            if (!backend.busy_.insert(uuid).second)
                backend.world_.violations.push_back(std::string(name) +
                                                    " while another call for the VM is under way");
        }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
        ~Call() { backend.busy_.erase(uuid); }
        FakeBackend& backend;
        std::string uuid;
    };
    Result<std::string> go_back(const VmPlan& vm, const std::string& path);
    Result<std::string> resume(const VmPlan& vm, const std::string& path);
    Result<std::string> saved(const VmPlan& vm);
    Result<std::string> back_again(const VmPlan& vm);

    World& world_;
    Schedule& schedule_;
    std::set<std::string> busy_;                  // VMs with a call under way
    std::set<std::string> known_{"lxc-unionfs"};  // hypervisors
};

class FakeAgents final : public AgentCalls {
public:
    FakeAgents(World& world, Schedule& schedule) : world_(world), schedule_(schedule) {}
    boost::asio::awaitable<Result<std::string>> call(VmId vm, std::int64_t incarnation,
                                                     std::string method, AgentParameters parameters,
                                                     Milliseconds timeout) override;

private:
    World& world_;
    Schedule& schedule_;
};

// A node with its database; hkd on it may die and come back.
class Rig {
public:
    explicit Rig(int vms, Limits limits = {});
    ~Rig();
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    World world;

    void boot();   // a new hkd, which adopts what there is
    void crash();  // this hkd is gone, whatever it was doing
    [[nodiscard]] bool lives() const { return life_ != nullptr; }

    // Lets everything happen that happens in this time; the second one until it is true, or an
    // hour has passed: then false.
    void pass(Milliseconds time);
    bool pass_until(const std::function<bool()>& there);

    // Everything that happens without time going on.
    void settle();

    // A store operation, done to its end.
    template <class T>
    Result<T> ask(boost::asio::awaitable<Result<T>> operation);
    void order_start(VmId vm);
    void order_stop(VmId vm);
    VmRuntime row(VmId vm);
    std::string stage(VmId vm);

    [[nodiscard]] store::MemoryStore& store() { return *store_; }
    [[nodiscard]] const std::vector<VmId>& vms() const { return vms_; }
    [[nodiscard]] const std::string& uuid(VmId vm) const { return uuids_.at(vm); }
    [[nodiscard]] NodeId node() const { return node_; }
    [[nodiscard]] Vms& here();
    void evacuate();
    void compare();
    void report_usage();
    void expire();
    // Lost notifications: hkd has to look for itself.
    bool announcements_arrive = true;

private:
    struct Life;
    static boost::asio::awaitable<void> ask_the_silent(Life* life);
    bool step(Clock::time_point limit);
    template <class T>
    T must(boost::asio::awaitable<Result<T>> operation);

    Limits limits_;
    boost::asio::io_context loop_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        loop_.get_executor()};
    std::unique_ptr<store::MemoryStore> store_;
    std::vector<VmId> vms_;
    std::map<VmId, std::string> uuids_;
    NodeId node_;
    std::unique_ptr<Life> life_;
};

config::View test_view();
// Its path.run; gone when the tests have ended.
const std::string& run_folder();

}  // namespace qvd::hkd::test

template <class T>
qvd::Result<T> qvd::hkd::test::Rig::ask(boost::asio::awaitable<Result<T>> operation) {
    std::optional<Result<T>> answer;
    const auto keep = [](boost::asio::awaitable<Result<T>> asked,
                         std::optional<Result<T>>* into) -> boost::asio::awaitable<void> {
        into->emplace(co_await std::move(asked));
    };
    spawn(loop_.get_executor(), keep(std::move(operation), &answer), 0);
    settle();
    if (!answer) throw std::logic_error("the store did not answer");
    return std::move(*answer);
}
