// VmaHook plugins. Each runs in a process of its own that does nothing else: one that crashes,
// leaks or hangs costs a failed hook, and its memory is not the agent's.
#pragma once

#include "agent/protocol.hpp"
#include "config/properties.hpp"
#include "vma/keys.hpp"
#include "vma/loop.hpp"

#include <memory>

namespace qvd::vma {

class HookPlugins {
public:
    // `file`: vma.conf as it was read, for the keys that plugins declare. All must outlive it.
    HookPlugins(Loop& loop, const Settings& settings, const config::Properties& file);
    HookPlugins(const HookPlugins&) = delete;
    HookPlugins& operator=(const HookPlugins&) = delete;
    ~HookPlugins();

    // Starts all of vma.hook.plugins and waits until each is ready. Errors: plugin.load, with what
    // is wrong with the file; then none runs.
    Result<void> load();
    // What later calls are about: the VM's id (0: not told), the session's user and his home.
    void set_subject(std::uint64_t vm, std::string user, std::string home);

    // Calls each plugin in turn: kind 0 action, 1 state, 2 provisioning; `number` and `word` name
    // the event. True if one said that it did it. Errors: vma.hook.failed, vma.hook.timeout.
    Task<Result<bool>> call(unsigned kind, unsigned number, std::string_view word,
                            const agent::Parameters& parameters, agent::Parameters& added);

private:
    class Host;

    Loop& loop_;
    const Settings& settings_;
    const config::Properties& file_;
    std::vector<std::unique_ptr<Host>> hosts_;
    std::uint64_t vm_ = 0;
    std::string user_name_;
    std::string user_home_;
};

}  // namespace qvd::vma
