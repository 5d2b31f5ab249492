// Hypervisors that did not say what they run when hkd came up, beside others that did.
#include "base/log.hpp"
#include "hkd/vm_plan.hpp"
#include "hkd/vms.hpp"

namespace qvd::hkd {

std::string says_nothing(const std::string& hypervisor, const Error& why) {
    return "the hypervisor " + hypervisor + " does not say what it runs: " + why.sentence();
}

void Vms::remember_silent(const Survey& survey, const std::vector<store::VmRecord>& rows,
                          PropertiesByVm& properties) {
    silent_ = survey.silent;
    unseen_.clear();
    for (const store::VmRecord& row : rows) {
        const VmId vm = row.vm.id;
        if (is_over({row.runtime.state, row.runtime.phase}) || handlers_.contains(vm)) continue;
        std::string hypervisor = plan_known(row, properties[vm], view_).hypervisor;
        if (silent_.contains(hypervisor)) unseen_[vm] = std::move(hypervisor);
    }
}

std::string Vms::silence() const {
    std::string all;
    for (const auto& [name, why] : silent_)
        all += (all.empty() ? "" : "; ") + says_nothing(name, why);
    if (all.empty()) return all;
    return all + "; until it does, its virtual machines are neither started nor given up here";
}

boost::asio::awaitable<bool> Vms::is_of_a_silent_one(VmId vm) {
    if (silent_.empty()) co_return false;
    const auto row = co_await workshop_->store.vm(vm);
    const auto properties = co_await workshop_->store.session_properties(vm);
    if (!row.ok() || !*row || !properties.ok()) co_return false;
    co_return silent_.contains(plan_known(**row, *properties, view_).hypervisor);
}

Async<void> Vms::adopt_silent(bool rebooted) {
    if (silent_.empty()) co_return Result<void>{};
    QVD_CO_TRY(const std::vector<store::VmRecord> rows, co_await workshop_->store.vms_on(node_));
    QVD_CO_TRY(const PropertiesByVm properties, co_await properties_of(rows));
    QVD_CO_TRY(const Survey survey, co_await workshop_->backend.survey());
    const auto before = silent_;
    for (const auto& [name, why] : before) {
        const auto still = survey.silent.find(name);
        if (still != survey.silent.end()) {
            silent_.insert_or_assign(name, still->second);
            continue;
        }
        // Until it is through, none of its VMs starts.
        std::string hypervisor = name;
        QVD_CO_CHECK(co_await adopt_of(std::move(hypervisor), rows, properties, survey, rebooted));
        silent_.erase(name);
        log::info("hypervisor.answers", {{"plugin", name}}, "says what it runs");
    }
    co_return Result<void>{};
}

Async<void> Vms::adopt_of(std::string hypervisor, std::vector<store::VmRecord> rows,
                          PropertiesByVm properties, Survey survey, bool rebooted) {
    adopting_ = true;
    std::set<std::string> expected;
    for (const store::VmRecord& row : rows)
        if (!is_over({row.runtime.state, row.runtime.phase})) expected.insert(row.vm.uuid);
    std::vector<std::string> keep;
    keep.reserve(rows.size());
    for (const store::VmRecord& row : rows) keep.push_back(row.vm.uuid);
    std::string its = hypervisor;
    QVD_CO_CHECK(co_await workshop_->backend.collect_of(std::move(its), std::move(keep)));
    for (const store::VmRecord& row : rows) {
        const auto unseen = unseen_.find(row.vm.id);
        if (unseen == unseen_.end() || unseen->second != hypervisor) continue;
        if (needs_handler(row, properties[row.vm.id], survey))
            co_await adopt_row(row, properties[row.vm.id], survey.found, rebooted);
        unseen_.erase(row.vm.id);
        QVD_CO_CHECK(co_await workshop_->store.return_orders(node_, row.vm.id));
    }
    for (const FoundVm& one : survey.found)
        if (one.hypervisor == hypervisor && is_alive(one.state) && !expected.contains(one.uuid))
            co_await destroy_stray(one);
    adopting_ = false;
    for (const FoundVm& one : std::exchange(early_, {})) heard(one);
    look_for_orders();
    co_return Result<void>{};
}

}  // namespace qvd::hkd
