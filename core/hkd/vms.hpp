// The VMs on this node: orders taken, VMs of an earlier hkd adopted, everything ended in order.
#pragma once

#include "config/view.hpp"
#include "hkd/vm_handler.hpp"

#include <map>
#include <memory>
#include <set>
#include <vector>

namespace qvd::hkd {

// For the operator: of a hypervisor that does not answer a survey.
[[nodiscard]] std::string says_nothing(const std::string& hypervisor, const Error& why);

// Belongs to the event loop and outlives what it has spawned there.
class Vms {
public:
    Vms(Workshop& workshop, NodeId node, config::View view);

    // Before anything else: what runs and belongs here goes on, what runs and does not is
    // destroyed, what should run and does not is written down. May be repeated after an error.
    // `rebooted`: nothing can have survived. A hypervisor that does not say what it runs is an
    // error only if it is the node's default one.
    Async<void> adopt(bool rebooted);
    // The same of hypervisors that were silent then, and answer now.
    Async<void> adopt_silent(bool rebooted);
    // Which of them still are, for the operator; empty: all have answered. Their VMs stay as they
    // are by the database: none is given up, stopped or started.
    [[nodiscard]] std::string silence() const;

    // Takes orders until close(): at once when told by look_for_orders(), and otherwise `every`.
    boost::asio::awaitable<void> follow_orders(Milliseconds every);
    void look_for_orders();
    void close();

    // Sees that what backends do not report is noticed; one survey.
    boost::asio::awaitable<void> compare();
    // What the running VMs use, into the database.
    boost::asio::awaitable<void> report_usage();
    // VMs whose soft or hard expiry has passed, by the database's clock.
    boost::asio::awaitable<void> expire();

    // Stops all, and kills those that do not stop within `patience`; returns when none is left.
    boost::asio::awaitable<void> evacuate(Milliseconds patience, Milliseconds kill_again);

    void set_view(config::View view);
    [[nodiscard]] std::vector<VmFacts> facts() const;
    [[nodiscard]] std::shared_ptr<VmHandler> find(VmId vm) const;
    [[nodiscard]] std::size_t size() const { return handlers_.size(); }

private:
    template <class T>
    using Awaitable = boost::asio::awaitable<T>;
    using PropertiesByVm = std::map<VmId, Properties>;

    Awaitable<void> take(VmId vm, VmCommand command);
    Awaitable<void> take_start(VmId vm);
    Awaitable<void> take_stop(VmId vm);
    Awaitable<void> take_order(VmId vm);
    void remember_silent(const Survey& survey, const std::vector<store::VmRecord>& rows,
                         PropertiesByVm& properties);
    Async<void> adopt_of(std::string hypervisor, std::vector<store::VmRecord> rows,
                         PropertiesByVm properties, Survey survey, bool rebooted);
    Awaitable<bool> is_of_a_silent_one(VmId vm);
    void not_taken(VmId vm, const Error& why);
    Awaitable<void> clear_up(VmId vm);
    Async<void> look_for_lost(VmId vm);
    Awaitable<std::shared_ptr<VmHandler>> handler_of(VmId vm);
    Awaitable<plugin::BackendState> state_of(VmPlan plan);
    Awaitable<void> expire(store::VmRecord row, Timestamp now);
    [[nodiscard]] bool needs_handler(const store::VmRecord& row, const Properties& properties,
                                     const Survey& survey) const;
    static bool found_there(const std::vector<FoundVm>& found, const store::VmRecord& row);
    Async<void> resume_retries();
    Awaitable<void> forget_logs();
    void plan_retry(VmId vm, Milliseconds wait);
    Awaitable<void> retry(VmId vm, Milliseconds wait);
    Awaitable<bool> launch_again(store::VmRecord row);
    void begin(const store::StartOrder& order, bool again);
    Awaitable<void> destroy_stray(FoundVm found);
    Async<PropertiesByVm> properties_of(std::vector<store::VmRecord> rows);
    Awaitable<void> adopt_row(store::VmRecord row, Properties properties,
                              std::vector<FoundVm> found, bool rebooted);
    Awaitable<void> wait_until_empty(Clock::time_point limit);
    void over(const VmHandler::End& end);
    void heard(const FoundVm& found);
    [[nodiscard]] VmHandler::Over when_over();

    Workshop* workshop_;
    NodeId node_;
    config::View view_;
    std::map<VmId, std::shared_ptr<VmHandler>> handlers_;
    std::unique_ptr<Alarm> orders_;  // rung when there may be an order
    std::unique_ptr<Alarm> empty_;   // rung when a VM is over
    std::set<VmId> doubtful_;        // whose order may have been taken without our knowing
    bool look_ = true;
    bool closed_ = false;
    bool adopting_ = false;
    bool retrying_ = false;                // what an earlier hkd had planned
    bool deaf_ = false;                    // the database's last answer was an error
    std::map<std::string, Error> silent_;  // hypervisors that have not said what they run
    std::map<VmId, std::string> unseen_;   // what may run by them
    std::vector<FoundVm> early_;           // ends reported while adopting
    Backend::Token listening_;
};

}  // namespace qvd::hkd
