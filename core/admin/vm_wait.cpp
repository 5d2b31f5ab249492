// Waiting for VMs that were ordered to start or to stop.
#include "admin/administration.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace qvd::admin {

namespace asio = boost::asio;

namespace {

// Looked at even without an announcement: one may get lost with its connection, or a node.
constexpr std::chrono::seconds look_again{5};

enum class Course { on_its_way, arrived, failed };

Course course_of(const store::VmRecord& record, VmState wanted) {
    const VmState state = record.runtime.state;
    const bool idle = state == VmState::stopped || state == VmState::failed;
    if (wanted == VmState::stopped) return idle ? Course::arrived : Course::on_its_way;
    if (state == VmState::running) return Course::arrived;
    // A start that nobody has taken yet is still a command.
    if (idle && record.runtime.command != VmCommand::start) return Course::failed;
    return state == VmState::debug ? Course::failed : Course::on_its_way;
}

std::string why_failed(const store::VmRecord& record) {
    const std::string& reason = record.runtime.reason;
    if (!reason.empty()) return reason;
    if (record.runtime.state == VmState::stopped) return "it was stopped, or its start withdrawn";
    return "it is " + std::string(to_string(record.runtime.state));
}

// The VMs that are still on their way, and what was told of each.
class Watch {
public:
    Watch(store::Store& store, std::set<VmId> vms, VmState wanted, StepSeen seen)
        : store_(store), waiting_(std::move(vms)), wanted_(wanted), seen_(std::move(seen)) {}

    // Of those announced since, or of all.
    Async<void> look(bool all);
    void heard(const store::Announcement& news) {
        using What = store::Announcement::What;
        if (news.what == What::everything) everything_ = true;
        if (news.what == What::vm_state) news_.insert(news.vm);
    }
    [[nodiscard]] bool has_news() const { return everything_ || !news_.empty(); }
    [[nodiscard]] const std::set<VmId>& waiting() const { return waiting_; }
    std::vector<std::string> failures;

private:
    void judge(const store::VmRecord& record);

    store::Store& store_;
    std::set<VmId> waiting_;
    VmState wanted_;
    StepSeen seen_;
    std::set<VmId> news_;
    bool everything_ = false;
    std::map<VmId, std::string> told_;
};

Async<void> Watch::look(bool all) {
    const bool of_all = all || everything_;
    const std::set<VmId> asked = of_all ? waiting_ : std::exchange(news_, {});
    everything_ = everything_ && !of_all;
    for (const VmId vm : asked) {
        if (!waiting_.contains(vm)) continue;
        QVD_CO_TRY(const auto record, co_await store_.vm(vm));
        if (record) {
            judge(*record);
        } else {
            failures.push_back("vm " + vm.text() + ": it was deleted");
            waiting_.erase(vm);
        }
    }
    co_return Result<void>{};
}

void Watch::judge(const store::VmRecord& record) {
    const VmRuntime& runtime = record.runtime;
    const Course course = course_of(record, wanted_);
    const std::string state = to_string(runtime.state, runtime.phase);
    // Before its node has begun it is as it was: nothing to tell.
    const bool as_before = wanted_ == VmState::stopped && runtime.state == VmState::running;
    const bool untouched =
        course == Course::on_its_way && (runtime.command.has_value() || as_before);
    if (!untouched && std::exchange(told_[record.vm.id], state) != state && seen_)
        seen_(record.vm.name, state, runtime.reason);
    if (course == Course::on_its_way) return;
    if (course == Course::failed)
        failures.push_back("vm " + record.vm.name + ": " + why_failed(record));
    waiting_.erase(record.vm.id);
}

}  // namespace

Async<std::vector<std::string>> Administration::await_vms(std::set<VmId> vms, VmState wanted,
                                                          std::chrono::seconds patience,
                                                          StepSeen seen) {
    asio::steady_timer bell(co_await asio::this_coro::executor);
    Watch watch(store_, std::move(vms), wanted, std::move(seen));
    const auto ring = [&bell, &watch](const store::Announcement& news) {
        watch.heard(news);
        bell.cancel();
    };
    const store::Store::Token token = store_.listen(ring);
    const auto limit = std::chrono::steady_clock::now() + patience;
    bool all = true;
    for (;;) {
        QVD_CO_CHECK(co_await watch.look(all));
        if (watch.waiting().empty()) co_return watch.failures;
        if (patience.count() > 0 && std::chrono::steady_clock::now() >= limit)
            co_return Error{ErrorKind::timeout, "vm.wait_timeout",
                            std::to_string(watch.waiting().size()) + " of the VMs were not " +
                                std::string(to_string(wanted)) + " after " +
                                std::to_string(patience.count()) +
                                " s; what was ordered stays ordered"};
        all = !watch.has_news();
        if (!all) continue;
        auto next = std::chrono::steady_clock::now() + look_again;
        if (patience.count() > 0) next = std::min(next, limit);
        bell.expires_at(next);
        (void)co_await bell.async_wait(asio::as_tuple(asio::use_awaitable));
        all = !watch.has_news();
    }
}

}  // namespace qvd::admin
