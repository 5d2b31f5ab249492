#include "hkd/limits.hpp"

#include "hkd/keys.hpp"

namespace qvd::hkd {

namespace {

FailurePolicy policy_of(const config::View& view) {
    const std::string word = view.get(vm_failure);
    if (word == "retry") return FailurePolicy::retry;
    return word == "ignore" ? FailurePolicy::ignore : FailurePolicy::block;
}

}  // namespace

Limits limits_of(const config::View& view) {
    Limits limits;
    limits.starting_max = static_cast<int>(view.get(vm_starting_max));
    limits.failure = policy_of(view);
    limits.keep_for_debugging = view.get(vm_debug);
    limits.agent_port = static_cast<int>(view.get(vma_port));
    limits.nx_port = static_cast<int>(view.get(nxagent_display)) + 4000;
    limits.image = view.get(image_timeout);
    limits.launch = view.get(launch_timeout);
    limits.stopping_1 = view.get(stopping_1_timeout);
    limits.stopping_2 = view.get(stopping_2_timeout);
    limits.zombie_1 = view.get(zombie_1_timeout);
    limits.zombie_2 = view.get(zombie_2_timeout);
    limits.poweroff_calls = static_cast<int>(view.get(rpc_retry_count));
    limits.poweroff_delay = view.get(rpc_retry_delay);
    limits.agent_call = view.get(rpc_timeout);
    limits.starting = {static_cast<int>(view.get(starting_max_count)), view.get(starting_max_time)};
    limits.running = {static_cast<int>(view.get(running_max_count)), view.get(running_max_time)};
    limits.after_error = view.get(delay_after_error);
    limits.after_ok = view.get(delay_after_ok);
    return limits;
}

}  // namespace qvd::hkd
