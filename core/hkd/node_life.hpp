// The life of this node: unconfigured until it has what it needs, then it claims its row, raises
// the network, adopts its VMs and runs; stopped, its VMs run on; evacuated, nothing is left.
#pragma once

#include "config/view.hpp"
#include "hkd/backend.hpp"
#include "hkd/load.hpp"
#include "hkd/network/network.hpp"
#include "hkd/vms.hpp"
#include "store/store.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <set>

namespace qvd::hkd {

// What the node has and is; belongs to the event loop and outlives it.
class NodeLife {
public:
    struct Parts {
        boost::asio::any_io_executor executor;
        store::Store& store;
        Backend& backend;  // network guarded
        AgentCalls& agents;
        Schedule& schedule;
        network::Network* network = nullptr;                  // null: none (tests)
        std::function<Result<void>()> load_plugins;           // before the first survey
        std::function<void(const config::View&)> configured;  // each time it has changed
        std::function<void(const std::string&)> tell;  // one sentence of status; empty: all is well
        std::function<void()> ready;
        // The node is not this hkd's any more, and why; run() returns next.
        std::function<void(const std::string&)> lost;
        std::string boot_id;
        std::string host_name;
        // Before the plugins are loaded; empty: nothing is stored (tests).
        std::function<Result<void>(const config::View&)> make_storage = {};
    };

    // `view`: what the file says.
    NodeLife(Parts parts, config::View view);

    // Until the node is told to stop; then everything is as the orders below say.
    boost::asio::awaitable<void> run();

    void stop(bool evacuate);
    // The next hkd follows at once: the node goes on, and its row says so.
    void hand_over();
    // Configuration or anything else that it waits for may have changed.
    void look_again();
    void heard(const store::Announcement& announcement);

    [[nodiscard]] NodeState state() const { return state_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const config::View& view() const { return view_; }
    [[nodiscard]] int slots_taken() const { return workshop_ ? workshop_->slots.taken() : 0; }
    [[nodiscard]] std::size_t slots_awaited() const {
        return workshop_ ? workshop_->slots.waiting() : 0;
    }
    // Null until the node has come so far.
    [[nodiscard]] Workshop* workshop() { return workshop_.get(); }
    [[nodiscard]] Vms* vms() { return vms_ ? &*vms_ : nullptr; }

private:
    template <class T>
    using Awaitable = boost::asio::awaitable<T>;

    Async<void> configure();
    Async<void> find_row();
    Async<void> claim();
    Async<void> come_up();
    Async<void> raise_network();
    Async<void> load_those_in_use();
    Async<void> report_load();
    Async<void> begin_reporting();
    Awaitable<void> ask_hypervisor(NodeLoad& load);
    void lose(std::string_view event, std::string why);
    Awaitable<void> keep_adopting();
    Awaitable<void> keep_reporting();
    Awaitable<void> keep_reporting_usage();
    Awaitable<void> keep_looking_after();
    Awaitable<void> keep_configured();
    Awaitable<void> leave();
    Awaitable<void> wait(Milliseconds time);
    Awaitable<void> say(NodeState state, std::string reason);
    [[nodiscard]] bool embedded() const;
    [[nodiscard]] bool ending() const { return stop_ || lost_; }

    Parts parts_;
    config::View file_;
    config::View view_;
    std::string name_;
    NodeId node_;
    std::string address_;
    std::int64_t epoch_ = 0;
    bool claimed_ = false;
    bool reporting_ = false;
    bool rebooted_ = false;
    NodeState state_ = NodeState::stopped;
    std::string reason_;
    LoadMeter meter_;
    std::string capacity_problem_;  // the last one that was logged
    std::unique_ptr<Workshop> workshop_;
    std::optional<Vms> vms_;
    std::unique_ptr<Alarm> alarm_;
    std::unique_ptr<Alarm> reconfigure_;
    bool changed_ = false;
    bool stop_ = false;
    bool evacuate_ = false;
    bool handed_over_ = false;
    std::optional<std::string> lost_;
    std::set<std::string> not_loaded_;  // hypervisors whose trouble has been told
};

}  // namespace qvd::hkd
