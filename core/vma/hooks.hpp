// What the image's maker wants to be done when something happens: executables named in vma.conf,
// then VmaHook plugins.
#pragma once

#include "vma/hook_plugins.hpp"
#include "vma/keys.hpp"
#include "vma/process.hpp"

#include <deque>

namespace qvd::vma {

// Something that can happen. `key` is the executable hook's; `word` is what the hook is told
// (qvd.hook.on_action = pre_connect); `number` is the event's in qvd/vma_hook.h.
struct HookPoint {
    enum class Kind { action, state, provisioning };
    Kind kind;
    std::string_view key;
    std::string_view word;
    unsigned number;
};

namespace hook {
inline constexpr HookPoint pre_connect{HookPoint::Kind::action, "vma.on_action.pre-connect",
                                       "pre_connect", 0};
inline constexpr HookPoint connect{HookPoint::Kind::action, "vma.on_action.connect", "connect", 1};
inline constexpr HookPoint suspend{HookPoint::Kind::action, "vma.on_action.suspend", "suspend", 2};
inline constexpr HookPoint stop{HookPoint::Kind::action, "vma.on_action.stop", "stop", 3};
inline constexpr HookPoint poweroff{HookPoint::Kind::action, "vma.on_action.poweroff", "poweroff",
                                    4};
inline constexpr HookPoint expire{HookPoint::Kind::action, "vma.on_action.expire", "expire", 5};
inline constexpr HookPoint connected{HookPoint::Kind::state, "vma.on_state.connected", "connected",
                                     0};
inline constexpr HookPoint suspended{HookPoint::Kind::state, "vma.on_state.suspended", "suspended",
                                     1};
// The key says disconnected, the state is stopped: both are documented.
inline constexpr HookPoint stopped{HookPoint::Kind::state, "vma.on_state.disconnected", "stopped",
                                   2};
inline constexpr HookPoint mount_home{HookPoint::Kind::provisioning,
                                      "vma.on_provisioning.mount_home", "mount_home", 0};
inline constexpr HookPoint add_user{HookPoint::Kind::provisioning, "vma.on_provisioning.add_user",
                                    "add_user", 1};
inline constexpr HookPoint after_add_user{
    HookPoint::Kind::provisioning, "vma.on_provisioning.after_add_user", "after_add_user", 2};
}  // namespace hook

// Whether a parameter of that name must not be seen by others: it goes into the hook's environment
// instead of its arguments, as QVD_VM_USER_PASSWORD for qvd.vm.user.password.
bool is_secret_parameter(std::string_view name);

// The executable's arguments after its name: name, value, name, value, ..., without secrets.
std::vector<std::string> hook_arguments(const agent::Parameters& parameters);
std::vector<std::string> hook_environment(const agent::Parameters& parameters);

class Hooks {
public:
    // Both must outlive it.
    Hooks(Loop& loop, Processes& processes, const Settings& settings, HookPlugins& plugins)
        : loop_(loop), processes_(processes), settings_(settings), plugins_(plugins) {}

    // What later events are about: the VM's id (0: not told), the session's user and his home.
    void set_subject(std::uint64_t vm, std::string user, std::string home) {
        plugins_.set_subject(vm, std::move(user), std::move(home));
    }

    // Runs what is configured for `point`; false if that is nothing, or nobody wanted it. Plugins
    // may add to `parameters`. Errors: vma.hook.failed, vma.hook.timeout: the action must not go
    // on.
    Task<Result<bool>> run(const HookPoint& point, agent::Parameters& parameters,
                           agent::XState state);
    // For what has happened already: the same on its own, behind what was announced before;
    // failures are logged.
    void announce(const HookPoint& point, agent::XState state);

private:
    struct Announcement {
        HookPoint point;
        agent::XState state{};
    };

    Task<void> run_announcements();
    Task<Result<bool>> run_program(const HookPoint& point, const agent::Parameters& parameters);

    Loop& loop_;
    Processes& processes_;
    const Settings& settings_;
    HookPlugins& plugins_;
    std::deque<Announcement> announcements_;  // the first one runs
};

}  // namespace qvd::vma
