#include "hkd/vms.hpp"

#include "base/log.hpp"
#include "hkd/spawn.hpp"
#include "hkd/vm_plan.hpp"

#include <algorithm>

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

// Until a retry is tried again that its node had no room for, or no hypervisor.
constexpr Milliseconds hindered_pause{10'000};

std::vector<std::string> uuids_of(const std::vector<store::VmRecord>& rows) {
    std::vector<std::string> uuids;
    uuids.reserve(rows.size());
    for (const store::VmRecord& row : rows) uuids.push_back(row.vm.uuid);
    return uuids;
}

Why why_not_there(bool rebooted) {
    if (rebooted) return {"node.restarted", "the node was restarted"};
    return {"vm.not_there", "it was not there any more when hkd came back"};
}

}  // namespace

Vms::Vms(Workshop& workshop, NodeId node, config::View view)
    : workshop_(&workshop),
      node_(node),
      view_(std::move(view)),
      orders_(workshop.schedule.alarm()),
      empty_(workshop.schedule.alarm()),
      listening_(workshop.backend.listen([this](const FoundVm& found) { heard(found); })) {
}

VmHandler::Over Vms::when_over() {
    return [this](const VmHandler::End& end) { over(end); };
}

// ---- adoption ------------------------------------------------------------------------------

Async<void> Vms::adopt(bool rebooted) {
    adopting_ = true;
    QVD_CO_TRY(const std::vector<store::VmRecord> rows, co_await workshop_->store.vms_on(node_));
    std::vector<std::string> uuids = uuids_of(rows);
    QVD_CO_TRY(PropertiesByVm properties, co_await properties_of(rows));
    QVD_CO_CHECK(co_await workshop_->backend.collect(std::move(uuids)));
    QVD_CO_TRY(const Survey survey, co_await workshop_->backend.survey());
    const std::vector<FoundVm>& found = survey.found;

    std::set<std::string> expected;
    for (const store::VmRecord& row : rows) {
        if (is_over({row.runtime.state, row.runtime.phase})) continue;
        expected.insert(row.vm.uuid);
        if (needs_handler(row, properties[row.vm.id], survey))
            co_await adopt_row(row, properties[row.vm.id], found, rebooted);
    }
    for (const FoundVm& one : found)
        if (is_alive(one.state) && !expected.contains(one.uuid)) co_await destroy_stray(one);

    remember_silent(survey, rows, properties);
    QVD_CO_CHECK(co_await resume_retries());
    QVD_CO_CHECK(co_await workshop_->store.return_orders(node_, std::nullopt));
    adopting_ = false;
    for (const FoundVm& one : std::exchange(early_, {})) heard(one);
    const auto default_one = silent_.find(hypervisor_of({}, view_));
    if (default_one == silent_.end()) co_return Result<void>{};
    const auto& [name, why] = *default_one;
    co_return Error{why.kind(), why.code(), says_nothing(name, why)};
}

// Of the VMs that something is left of. Their hypervisors are those that have to be asked.
Async<Vms::PropertiesByVm> Vms::properties_of(std::vector<store::VmRecord> rows) {
    PropertiesByVm all;
    for (const store::VmRecord& row : rows) {
        if (is_over({row.runtime.state, row.runtime.phase})) continue;
        QVD_CO_TRY(Properties its, co_await workshop_->store.session_properties(row.vm.id));
        const std::string hypervisor = plan_known(row, its, view_).hypervisor;
        // Without it nothing can be done about its VMs; the others are none the worse.
        if (const auto known = workshop_->backend.know(hypervisor); !known.ok())
            log::error("hypervisor.not_loaded", {{"vm", row.vm.id}, {"plugin", hypervisor}},
                       known.error().sentence());
        all[row.vm.id] = std::move(its);
    }
    co_return all;
}

bool Vms::needs_handler(const store::VmRecord& row, const Properties& properties,
                        const Survey& survey) const {
    if (handlers_.contains(row.vm.id)) return false;
    const VmStage stage{row.runtime.state, row.runtime.phase};
    if (stage == vm_stage::suspended && !found_there(survey.found, row)) return false;  // it rests
    // One whose hypervisor is silent may run: the next try tells.
    return !survey.silent.contains(plan_known(row, properties, view_).hypervisor);
}

bool Vms::found_there(const std::vector<FoundVm>& found, const store::VmRecord& row) {
    return std::ranges::any_of(found, [&row](const FoundVm& one) {
        return one.uuid == row.vm.uuid && is_alive(one.state) &&
               one.incarnation == row.runtime.incarnation;
    });
}

// What became of it by its hypervisor; unknown if that does not say.
asio::awaitable<plugin::BackendState> Vms::state_of(VmPlan plan) {
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    const auto state = co_await workshop_->backend.state(std::move(plan), deadline);
    co_return state.ok() ? state->state : plugin::BackendState::unknown;
}

asio::awaitable<void> Vms::adopt_row(store::VmRecord row, Properties properties,
                                     std::vector<FoundVm> found, bool rebooted) {
    VmPlan plan = plan_known(row, std::move(properties), view_);
    const auto its = std::ranges::find_if(found, [&row](const FoundVm& one) {
        return one.uuid == row.vm.uuid && is_alive(one.state);
    });
    if (its != found.end()) plan.hypervisor = its->hypervisor;
    if (its != found.end() && its->incarnation != row.runtime.incarnation)
        co_await destroy_stray(*its);
    const bool is_there = its != found.end() && its->incarnation == row.runtime.incarnation;
    const VmStage stage{row.runtime.state, row.runtime.phase};
    if (!is_there && !rebooted && stage == vm_stage::starting_1) {
        const bool again = co_await launch_again(row);
        if (again) co_return;
    }
    auto state = plugin::BackendState::stopped;
    if (!is_there && next_stage(stage, VmEvent::was_saved)) state = co_await state_of(plan);
    const auto handler = std::make_shared<VmHandler>(*workshop_, std::move(plan), row.runtime);
    handlers_[row.vm.id] = handler;
    if (is_there)
        handler->adopt(*its, when_over());
    else if (state == plugin::BackendState::suspended)
        handler->finish_suspending(when_over());
    else if (state == plugin::BackendState::unknown)
        handler->adopt({}, when_over());  // until a survey and its state agree
    else
        handler->give_up(why_not_there(rebooted), when_over());
}

// The hkd before this one took the order and did not come to launch it: whoever waits for the VM
// waits on.
asio::awaitable<bool> Vms::launch_again(store::VmRecord row) {
    const VmId vm = row.vm.id;
    const auto order = co_await workshop_->store.retake_start(vm, node_, row.runtime.incarnation);
    if (!order.ok()) {
        log::warn("vm.start_not_taken", {{"vm", vm}, {"code", order.error().code()}},
                  order.error().sentence());
        co_return false;
    }
    begin(*order, true);
    co_return true;
}

asio::awaitable<void> Vms::destroy_stray(FoundVm found) {
    log::warn("vm.unknown_destroyed",
              {{"vm", found.vm}, {"uuid", found.uuid}, {"incarnation", found.incarnation}},
              "it runs here, but not by the database");
    VmPlan plan = plan_found(found, view_);
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    const Result<void> destroyed = co_await workshop_->backend.destroy(std::move(plan), deadline);
    if (!destroyed.ok())
        log::error("vm.not_destroyed", {{"vm", found.vm}}, destroyed.error().sentence());
}

void Vms::heard(const FoundVm& found) {
    const bool stands_still = found.state == plugin::BackendState::paused;
    if (is_alive(found.state) && !stands_still) return;
    for (const auto& [id, handler] : handlers_)
        if (handler->plan().uuid == found.uuid)
            return stands_still ? handler->stands_still(found) : handler->ended(found);
    if (adopting_) early_.push_back(found);
}

// ---- what has ended ------------------------------------------------------------------------

void Vms::over(const VmHandler::End& end) {
    handlers_.erase(end.vm);
    log::info("vm.over", {{"vm", end.vm}, {"stage", to_string(end.stage)}}, "");
    if (end.stage == vm_stage::failed && end.retry_in) plan_retry(end.vm, *end.retry_in);
    empty_->ring();
    look_for_orders();
}

// ---- hkd.vm.failure = retry ----------------------------------------------------------------

// What an earlier hkd had planned goes on.
Async<void> Vms::resume_retries() {
    if (retrying_) co_return Result<void>{};
    QVD_CO_TRY(const auto planned, co_await workshop_->store.retries(node_));
    retrying_ = true;
    co_await forget_logs();
    for (const auto& [vm, wait] : planned) plan_retry(vm, std::max(wait, Milliseconds{0}));
    co_return Result<void>{};
}

// What was kept of VMs that have been deleted since.
asio::awaitable<void> Vms::forget_logs() {
    const auto rows = co_await workshop_->store.vms();
    if (!rows.ok()) co_return;
    std::set<VmId> vms;
    for (const store::VmRecord& row : *rows) vms.insert(row.vm.id);
    const std::uint64_t bytes = workshop_->logs.retain(vms);
    if (bytes > 0) log::info("vm.logs_removed", {{"bytes", bytes}}, "of deleted VMs");
}

void Vms::plan_retry(VmId vm, Milliseconds wait) {
    log::info("vm.retry_planned", {{"vm", vm}, {"ms", wait.count()}}, "it is to be started again");
    spawn(workshop_->executor, retry(vm, wait), 0);
}

// The database knows whether somebody still wants it: a stop, a start of his own, or a new failure
// with a new date call this one off.
asio::awaitable<void> Vms::retry(VmId vm, Milliseconds wait) {
    for (;;) {
        co_await workshop_->schedule.sleep(wait);
        if (closed_ || handlers_.contains(vm)) co_return;
        // It would be refused, and nobody would try again.
        const bool silent = co_await is_of_a_silent_one(vm);
        if (silent) {
            wait = hindered_pause;
            continue;
        }
        const Result<void> ordered = co_await workshop_->store.retry_start(vm, node_);
        if (ordered.ok()) {
            log::info("vm.retried", {{"vm", vm}}, "");
            co_return;
        }
        log::info("vm.not_retried", {{"vm", vm}, {"code", ordered.error().code()}},
                  ordered.error().sentence());
        if (ordered.error().kind() != ErrorKind::unavailable) co_return;
        wait = hindered_pause;
    }
}

// ---- the end of all ------------------------------------------------------------------------

asio::awaitable<void> Vms::wait_until_empty(Clock::time_point limit) {
    while (!handlers_.empty() && workshop_->schedule.clock().now() < limit)
        co_await empty_->wait_until(limit);
}

asio::awaitable<void> Vms::evacuate(Milliseconds patience, Milliseconds kill_again) {
    close();
    log::info("node.evacuation", {{"vms", handlers_.size()}}, "stops every VM of this node");
    const auto all = handlers_;
    for (const auto& [id, handler] : all)
        handler->order_stop(Why("node.evacuated", "the node is evacuated"));
    for (const auto& [vm, hypervisor] : unseen_)
        log::warn("vm.not_evacuated", {{"vm", vm}, {"plugin", hypervisor}}, silence());
    co_await wait_until_empty(workshop_->schedule.in(patience));
    while (!handlers_.empty()) {
        log::warn("node.evacuation_kills", {{"vms", handlers_.size()}},
                  "they did not stop in time");
        const auto rest = handlers_;
        for (const auto& [id, handler] : rest) handler->order_kill();
        co_await wait_until_empty(workshop_->schedule.in(kill_again));
    }
}

void Vms::set_view(config::View view) {
    view_ = std::move(view);
}

std::vector<VmFacts> Vms::facts() const {
    std::vector<VmFacts> all;
    for (const auto& [id, handler] : handlers_) all.push_back(handler->facts());
    return all;
}

std::shared_ptr<VmHandler> Vms::find(VmId vm) const {
    const auto found = handlers_.find(vm);
    return found == handlers_.end() ? nullptr : found->second;
}

}  // namespace qvd::hkd
