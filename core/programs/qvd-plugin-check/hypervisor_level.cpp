// Level hypervisor: VMs of a given image, through all that a node asks of a backend. Each case has
// a process of its own: so the end of a core can be a real one.
#include "trial_cases.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace qvd::check {

namespace {

using plugin::VmSpec;
using plugin::VmStatus;

// Starts the VM in a process that is then killed, as a core that dies. What start() handed back.
int start_in_a_core_that_dies(const TrialPlan& plan, const Subject& subject, const VmSpec& vm) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw Fault("cannot make a pipe");
    const pid_t core = ::fork();
    if (core == 0) {
        int pid = 0;
        try {
            std::array<int, 2> nobody{};
            if (::pipe(nobody.data()) != 0) ::_exit(1);
            Messenger silent(nobody[1], Level::hypervisor);
            const auto library = plugin::Library::open_file(subject.path, plugin::Trust::not_asked);
            if (!library.ok()) ::_exit(1);
            TrialStage stage(plan, *library, subject.given, silent);
            stage.begin();
            pid = stage.start_up(vm).pid;
            [[maybe_unused]] const auto told = ::write(ends[1], &pid, sizeof pid);
            ::kill(::getpid(), SIGKILL);
        } catch (const std::exception&) {
        }
        ::_exit(1);
    }
    ::close(ends[1]);
    int pid = 0;
    const bool started = ::read(ends[0], &pid, sizeof pid) == sizeof pid;
    ::close(ends[0]);
    ::waitpid(core, nullptr, 0);
    check(started, "a VM that was started by another process of the core does not come up");
    return pid;
}

void core_dies(const TrialPlan& plan, const Subject& subject,
               const std::shared_ptr<const plugin::Library>& library, Messenger& messenger) {
    const VmSpec vm = plan.vm(1, 1);
    messenger.step("the VM of a core that dies");
    start_in_a_core_that_dies(plan, subject, vm);
    TrialStage stage(plan, library, subject.given, messenger);
    const auto found = stage.node.begin({vm.uuid});
    const VmStatus* const its = TrialStage::find(found, vm);
    check(its != nullptr, "survey() does not find a VM that an earlier core left running");
    check(is_up(its->state) && its->incarnation == vm.incarnation,
          "survey() says of a VM that an earlier core left running that it is " +
              name_of(its->state) + ", incarnation " + std::to_string(its->incarnation));
    check(stage.answers(vm), "a VM does not survive the end of its core");
    if (plan.heeds_stop) {
        stage.node.must("stop()", stage.node.backend().stop(vm, call_limit));
        const VmStatus end = stage.await_end(vm, "after stop() of a VM that was found");
        check(end.state == plugin::BackendState::stopped,
              "a found VM that was stopped is reported as " + name_of(end.state));
    }
    stage.clear(vm);
}

void dies_unwatched(const TrialPlan& plan, const Subject& subject,
                    const std::shared_ptr<const plugin::Library>& library, Messenger& messenger) {
    const VmSpec vm = plan.vm(1, 1);
    messenger.step("the VM of a core that dies");
    const int pid = start_in_a_core_that_dies(plan, subject, vm);
    check(pid > 1, "start() hands back no pid of what keeps the VM running");
    ::kill(pid, SIGKILL);
    TrialStage stage(plan, library, subject.given, messenger);
    stage.node.wait_until([pid] { return ::kill(pid, 0) != 0; }, std::chrono::seconds(5));
    const auto found = stage.node.begin({vm.uuid});
    const VmStatus* const its = TrialStage::find(found, vm);
    check(its == nullptr || !is_up(its->state),
          "survey() says that a VM runs that died while no core watched");
    stage.destroy(vm);
    const VmSpec next = plan.vm(1, 2);
    stage.start_up(next);
    stage.clear(next);
}

struct CoreCase {
    const char* name;
    void (*run)(const TrialPlan&, const Subject&, const std::shared_ptr<const plugin::Library>&,
                Messenger&);
};
constexpr std::array core_cases{CoreCase{"crash of the core", &core_dies},
                                CoreCase{"end while no core watched", &dies_unwatched}};

// Whatever a case left running goes; what it complains of has been told already.
void sweep(const TrialPlan& plan, const Subject& subject,
           const std::shared_ptr<const plugin::Library>& library, Messenger& messenger) {
    try {
        TrialStage stage(plan, library, subject.given, messenger);
        stage.begin();
        for (int number = 1; number <= std::max(2, plan.vms); ++number)
            stage.clear(plan.vm(number, 1));
    } catch (const Fault& fault) {
        messenger.error(std::string("cleaning up behind the case: ") + fault.what());
    }
}

class Trials {
public:
    Trials(const Subject& subject, std::chrono::seconds limit)
        : subject_(subject),
          plan_(*subject.trial),
          limit_(limit + plan_.patience + plan_.stop_patience) {}

    void run(const std::string& name, const std::function<void(Messenger&)>& work) {
        Received one = in_child(Level::hypervisor, limit_, [&](Messenger& messenger) {
            try {
                work(messenger);
            } catch (const Fault& fault) {
                messenger.error(name + ": " + fault.what());
            }
        });
        const bool failed = !one.findings.empty();
        take(std::move(one));
        if (!failed) return;
        take(in_child(Level::hypervisor, limit_, [&](Messenger& messenger) {
            const auto library = open();
            sweep(plan_, subject_, library, messenger);
        }));
    }
    [[nodiscard]] std::shared_ptr<const plugin::Library> open() const {
        auto library = plugin::Library::open_file(subject_.path, plugin::Trust::not_asked);
        if (!library.ok()) throw Fault(library.error().sentence());
        return std::move(library).value();
    }
    [[nodiscard]] const TrialPlan& plan() const { return plan_; }
    [[nodiscard]] const Subject& subject() const { return subject_; }
    Received all;

private:
    void take(Received one) {
        for (Finding& finding : one.findings) all.findings.push_back(std::move(finding));
        all.output += one.output;
    }

    const Subject& subject_;
    const TrialPlan& plan_;
    std::chrono::seconds limit_;
};

}  // namespace

Received check_hypervisor(const Subject& subject, std::chrono::seconds limit) {
    Received first = in_child(Level::hypervisor, limit, [&](Messenger& messenger) {
        messenger.step("loading");
        const auto library = plugin::Library::open_file(subject.path, plugin::Trust::not_asked);
        if (!library.ok()) return messenger.error(library.error().sentence());
        if (plugin::find_interface((*library)->plugin(), QVD_HYPERVISOR) == nullptr ||
            !subject.trial)
            messenger.not_applicable();
    });
    if (!first.applicable || !first.findings.empty()) return first;
    Trials trials(subject, limit);
    for (const TrialCase& one : trial_cases())
        trials.run(one.name, [&](Messenger& messenger) {
            TrialStage stage(trials.plan(), trials.open(), subject.given, messenger);
            messenger.step("create(), collect() and survey()");
            stage.begin();
            if (one.needs_image) stage.prepare_image();
            one.run(stage);
        });
    for (const CoreCase& one : core_cases)
        trials.run(one.name, [&](Messenger& messenger) {
            one.run(trials.plan(), subject, trials.open(), messenger);
        });
    return std::move(trials.all);
}

}  // namespace qvd::check
