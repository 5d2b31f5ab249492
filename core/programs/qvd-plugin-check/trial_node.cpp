#include "trial_node.hpp"

#include "base/file.hpp"
#include "config/keys.hpp"
#include "plugin/instance.hpp"
#include "plugin/processes.hpp"
#include "programs/qvd-node/keys.hpp"

namespace qvd::check {

namespace {

constexpr Milliseconds call_limit{60'000};

config::View view_of(const TrialPlan& plan, const plugin::Manifest& manifest,
                     const Settings& given) {
    const auto keys = node::keys_of_rooms();
    (void)keys->declare(manifest.keys);  // the level before has seen to it that they fit
    Settings values{{"path.run", plan.folder + "/run"},
                    {"path.storage.root", plan.folder + "/storage"}};
    for (const auto& [key, value] : plan.settings) values[key] = value;
    for (const auto& [key, value] : given) values[key] = value;
    std::string file;
    for (const auto& [key, value] : values) file.append(key).append(" = ").append(value) += '\n';
    auto properties = config::Properties::parse(file, "the trial's settings");
    if (!properties.ok()) throw Fault(properties.error().sentence());
    return {keys, std::move(properties).value()};
}

}  // namespace

TrialNode::TrialNode(const TrialPlan& plan, std::shared_ptr<const plugin::Library> library,
                     const Settings& given)
    : library_(std::move(library)) {
    const config::View view = view_of(plan, library_->manifest(), given);
    const std::string run = view.get(config::path_run);
    for (const std::string& folder : {plan.folder, run, plan.overlays, plan.folder + "/homes",
                                      view.get(config::path_storage_root)})
        if (const auto made = file::make_folders(folder); !made.ok())
            throw Fault(made.error().sentence());
    host_ = std::make_unique<plugin::Host>(loop_, view, nullptr);
    host_->processes =
        std::make_unique<plugin::Processes>(host_->workers().get_executor(), run + "/processes");
    host_->on_vm_event = [this](plugin::VmStatus status) { ends_.push_back(std::move(status)); };
}

std::vector<plugin::VmStatus> TrialNode::begin(std::vector<std::string> keep_uuids) {
    const auto* const table = plugin::find_interface(library_->plugin(), QVD_HYPERVISOR);
    auto lane = std::make_shared<plugin::Lane>(host_->workers(), table->threading);
    auto instance =
        plugin::Instance::make(*host_, library_, QVD_HYPERVISOR, "trial", std::move(lane));
    if (!instance.ok()) throw Fault("create() fails: " + instance.error().sentence());
    backend_ = std::make_unique<plugin::Hypervisor>(std::move(instance).value());
    must("collect()", backend_->collect(std::move(keep_uuids), call_limit));
    return must("survey()", backend_->survey(call_limit));
}

void TrialNode::must(const std::string& what, boost::asio::awaitable<Result<void>> operation) {
    const Result<void> result = ask(std::move(operation));
    if (!result.ok()) throw Fault(what + " fails: " + result.error().sentence());
}

bool TrialNode::wait_until(const std::function<bool()>& condition, std::chrono::seconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    const auto work = boost::asio::make_work_guard(loop_);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) return false;
        loop_.restart();
        loop_.run_for(std::chrono::milliseconds(5));
    }
    return true;
}

std::optional<plugin::VmStatus> TrialNode::end_of(const std::string& uuid,
                                                  std::chrono::seconds patience) {
    std::optional<plugin::VmStatus> found;
    const bool came = wait_until(
        [&] {
            for (const plugin::VmStatus& status : ends_)
                if (status.uuid == uuid) found = status;
            return found.has_value();
        },
        patience);
    if (came) std::erase_if(ends_, [&](const auto& status) { return status.uuid == uuid; });
    return found;
}

}  // namespace qvd::check
