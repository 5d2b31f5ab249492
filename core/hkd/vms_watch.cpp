// Looking after the VMs that run here: what backends do not report, what they use, what expires.
#include "base/log.hpp"
#include "hkd/vms.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds usage_patience{2'000};

// In these a process of it exists, or ended without our knowing.
bool is_launched(VmStage stage) {
    return !is_over(stage) && stage != vm_stage::starting_1 && stage != vm_stage::zombie_2 &&
           stage != vm_stage::suspended;
}

}  // namespace

asio::awaitable<void> Vms::compare() {
    std::map<VmId, std::pair<std::int64_t, VmStage>> before;
    for (const auto& [id, handler] : handlers_)
        if (is_launched(handler->stage()))
            before[id] = {handler->plan().incarnation, handler->stage()};
    const auto survey = co_await workshop_->backend.survey();
    if (!survey.ok()) {
        log::warn("hkd.no_survey", {}, survey.error().sentence());
        co_return;
    }
    for (const auto& [name, why] : survey->silent)
        log::warn("hkd.no_survey", {{"plugin", name}}, why.sentence());
    for (const auto& [id, was] : before) {
        const auto handler = find(id);
        if (!handler || handler->plan().incarnation != was.first || handler->stage() != was.second)
            continue;
        if (survey->silent.contains(handler->plan().hypervisor)) continue;
        const std::string& uuid = handler->plan().uuid;
        const auto its = std::ranges::find_if(survey->found, [&uuid](const FoundVm& one) {
            return one.uuid == uuid && is_alive(one.state);
        });
        if (its != survey->found.end()) {
            handler->seen(*its);
            continue;
        }
        FoundVm end;
        end.uuid = uuid;
        end.incarnation = was.first;
        end.state = plugin::BackendState::crashed;
        end.sentence = "it is not there any more, and nobody said why";
        handler->missing(end);
    }
}

asio::awaitable<void> Vms::report_usage() {
    std::vector<store::VmUsage> usage;
    // Of a hypervisor that hangs, no other VM is asked: those of the others are not to wait.
    std::set<std::string> hanging;
    const auto all = handlers_;
    for (const auto& [id, handler] : all) {
        if (!is_launched(handler->stage())) continue;
        VmPlan plan = handler->plan();
        const std::string hypervisor = plan.hypervisor;
        if (hanging.contains(hypervisor)) continue;
        const Deadline deadline = Deadline::in(workshop_->schedule.clock(), usage_patience);
        const auto used = co_await workshop_->backend.usage(std::move(plan), deadline);
        if (used.ok())
            usage.push_back({id, handler->plan().incarnation, used->cpu_seconds,
                             static_cast<std::int64_t>(used->memory_bytes), handler->facts().pid});
        else if (deadline.passed())
            hanging.insert(hypervisor);
    }
    // The next report makes good for a lost one.
    if (!usage.empty()) (void)co_await workshop_->store.report_usage(node_, std::move(usage));
}

asio::awaitable<void> Vms::expire() {
    const auto rows = co_await workshop_->store.vms_on(node_);
    if (!rows.ok()) co_return;
    const auto now = co_await workshop_->store.now();
    if (!now.ok()) co_return;
    for (const store::VmRecord& row : *rows) co_await expire(row, *now);
}

asio::awaitable<void> Vms::expire(store::VmRecord row, Timestamp now) {
    const VmState state = row.runtime.state;
    const bool is_past = row.runtime.expires_hard && *row.runtime.expires_hard <= now;
    const bool rests = state == VmState::paused || state == VmState::suspended;
    // One that stands still cannot be told, and is not woken for that.
    if (state != VmState::running && !(rests && is_past)) co_return;
    const auto handler = co_await handler_of(row.vm.id);
    if (!handler || handler->stage().state != state) co_return;
    if (is_past) {
        // What rests on disk is thrown away, and started when its user comes; all else is started
        // again (manual, chapter 14), whatever becomes of this hkd.
        const bool restarts = state != VmState::suspended;
        if (restarts) {
            const auto ordered =
                co_await workshop_->store.order_restart(row.vm.id, row.runtime.incarnation);
            if (!ordered.ok()) co_return;  // the next look is in a minute
        }
        log::info("vm.expired", {{"vm", row.vm.id}}, "its hard expiry has passed; it is stopped");
        handler->order_stop(Why("vm.expired", "its image has expired"));
    } else if (row.runtime.expires_soft && *row.runtime.expires_soft <= now) {
        handler->tell_expiry(row.runtime.expires_soft, row.runtime.expires_hard);
    }
}

}  // namespace qvd::hkd
