// What every case of the trial does with VMs: starts them and looks whether they are what was asked
// for. Whatever is not is a Fault.
#pragma once

#include "child.hpp"
#include "trial_node.hpp"

#include <string>
#include <vector>

namespace qvd::check {

struct TrialStage {
    TrialStage(const TrialPlan& its_plan, std::shared_ptr<const plugin::Library> library,
               const Settings& given, Messenger& its_messenger)
        : plan(its_plan), messenger(its_messenger), node(its_plan, std::move(library), given) {}

    // As hkd's first start, with nothing running.
    void begin();
    void prepare_image();
    // Ends it, whatever it is, and removes all that it owns.
    void clear(const plugin::VmSpec& vm);

    plugin::VmStatus start(const plugin::VmSpec& vm);
    // Starts it and waits until it is up.
    plugin::VmStatus start_up(const plugin::VmSpec& vm);
    void await_answer(const plugin::VmSpec& vm);
    void destroy(const plugin::VmSpec& vm);
    plugin::VmStatus state(const plugin::VmSpec& vm);
    // Neither runs it nor is anything left of it.
    void must_be_gone(const plugin::VmSpec& vm);
    // The status of this VM among those, or nothing.
    static const plugin::VmStatus* find(const std::vector<plugin::VmStatus>& all,
                                        const plugin::VmSpec& vm);
    // Takes a connection on the plan's port now; true also where the plan names none.
    [[nodiscard]] bool answers(const plugin::VmSpec& vm) const;
    // Its report, or state(), says that it has ended; what was said.
    plugin::VmStatus await_end(const plugin::VmSpec& vm, const std::string& after);

    const TrialPlan& plan;
    Messenger& messenger;
    TrialNode node;
};

bool is_up(plugin::BackendState state);
std::string name_of(plugin::BackendState state);
void check(bool condition, const std::string& sentence);

inline constexpr Milliseconds call_limit{60'000};

}  // namespace qvd::check
