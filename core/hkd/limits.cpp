#include "hkd/limits.hpp"

#include "config/keys.hpp"
#include "hkd/keys.hpp"

#include <algorithm>

namespace qvd::hkd {

namespace {

FailurePolicy policy_of(const config::View& view) {
    const std::string word = view.get(vm_failure);
    if (word == "retry") return FailurePolicy::retry;
    if (word == "debug") return FailurePolicy::debug;
    return word == "ignore" ? FailurePolicy::ignore : FailurePolicy::block;
}

}  // namespace

Milliseconds Retry::pause_after(int failed) const {
    Milliseconds pause = first_pause;
    for (int count = 1; count < failed && pause < longest_pause; ++count) pause *= 2;
    return std::min(pause, longest_pause);
}

Limits limits_of(const config::View& view) {
    Limits limits;
    limits.starting_max = static_cast<int>(view.get(vm_starting_max));
    limits.failure = policy_of(view);
    limits.retry = {static_cast<int>(view.get(vm_failure_attempts)), view.get(vm_failure_pause),
                    view.get(vm_failure_longest_pause), view.get(vm_failure_reset)};
    limits.keep_for_debugging = view.get(vm_debug) || limits.failure == FailurePolicy::debug;
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
    limits.storage = view.get(config::path_storage_root);
    return limits;
}

}  // namespace qvd::hkd
