// The levels of the check. Each runs in a child process and tells what it finds by the messenger.
#pragma once

#include "child.hpp"
#include "fake_core.hpp"
#include "plugin/library.hpp"
#include "trial_plan.hpp"

#include <memory>
#include <optional>

namespace qvd::check {

struct Subject {
    std::string path;
    Settings given;                  // values of keys, from the command line
    std::optional<TrialPlan> trial;  // what VMs to try a hypervisor with
};

using PluginLibrary = std::shared_ptr<const plugin::Library>;

// file: nothing of the plugin runs.
void check_file(const Subject& subject, Messenger& messenger);
// load and manifest; null if it failed.
PluginLibrary check_manifest(const Subject& subject, Messenger& messenger);
void check_life(const Subject& subject, const plugin::Library& library, Messenger& messenger);
void check_core(const Subject& subject, const plugin::Library& library, Messenger& messenger);
// Nothing for a plugin that is no balancer.
void check_balancer(const Subject& subject, const plugin::Library& library, Messenger& messenger);

// Nothing for a plugin that is no hypervisor, or without subject.trial. In children of its own.
Received check_hypervisor(const Subject& subject, std::chrono::seconds limit);

// The values of the declared keys: given, or by default.
Settings settings_of(const plugin::Manifest& manifest, const Settings& given);

// An instance made by a fake core; its end is destroy().
class Trial {
public:
    Trial(const qvd_interface_head& table, FakeCore& core) : table_(table), core_(core) {}
    ~Trial();
    Trial(const Trial&) = delete;
    Trial(Trial&&) = delete;
    Trial& operator=(const Trial&) = delete;
    Trial& operator=(Trial&&) = delete;

    // What is wrong about how it was created; empty if nothing is. `refused` says whether the
    // plugin merely said no, with a sentence.
    std::string create();
    [[nodiscard]] bool refused() const { return refused_; }
    [[nodiscard]] void* self() const { return self_; }
    void destroy();

private:
    const qvd_interface_head& table_;
    FakeCore& core_;
    std::unique_ptr<FakeCall> call_;
    void* self_ = nullptr;
    bool created_ = false;
    bool refused_ = false;
};

// "balancer", "authenticator", or the id of an interface that this core does not know.
std::string word_of(std::string_view interface);

}  // namespace qvd::check
