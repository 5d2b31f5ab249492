#include "hkd/node_life.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "hkd/spawn.hpp"
#include "hkd/vm_plan.hpp"
#include "plugin/keys.hpp"

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

// Of the hypervisor's own figures, in each report of the load.
constexpr Milliseconds capacity_limit{1000};

}  // namespace

NodeLife::NodeLife(Parts parts, config::View view)
    : parts_(std::move(parts)),
      file_(view),
      view_(std::move(view)),
      alarm_(parts_.schedule.alarm()),
      reconfigure_(parts_.schedule.alarm()) {
}

// ---- coming up -----------------------------------------------------------------------------

asio::awaitable<void> NodeLife::run() {
    while (!ending()) {
        const Result<void> up = co_await come_up();
        if (up.ok() || ending()) break;
        co_await say(NodeState::starting, up.error().sentence());
        co_await wait(view_.get(config_delay));
    }
    if (!ending()) {
        co_await say(NodeState::running, vms_->silence());
        parts_.ready();
        spawn(parts_.executor, keep_adopting(), 0);
        spawn(parts_.executor, keep_reporting_usage(), 0);
        spawn(parts_.executor, keep_looking_after(), 0);
        spawn(parts_.executor, keep_configured(), 0);
        spawn(parts_.executor, vms_->follow_orders(view_.get(command_delay)), 0);
        while (!ending()) co_await alarm_->wait_until(Alarm::never);
    }
    co_await leave();
}

// Each step may be repeated: whatever fails, all of it is tried again.
Async<void> NodeLife::come_up() {
    QVD_CO_CHECK(co_await configure());
    QVD_CO_CHECK(co_await find_row());
    if (!claimed_) QVD_CO_CHECK(co_await claim());
    if (const auto missing = view_.missing(); !missing.empty())
        co_return Error{
            ErrorKind::unavailable, "node.unconfigured",
            "not configured yet: set " + text::join(missing, ", ") + " (`qa config set`)"};
    QVD_CO_CHECK(co_await raise_network());
    if (parts_.make_storage) QVD_CO_CHECK(parts_.make_storage(view_));
    QVD_CO_CHECK(parts_.load_plugins());
    QVD_CO_CHECK(co_await load_those_in_use());
    QVD_CO_CHECK(co_await begin_reporting());
    if (!workshop_) {
        workshop_ = std::make_unique<Workshop>(parts_.executor, parts_.store, parts_.backend,
                                               parts_.agents, parts_.schedule, limits_of(view_));
        workshop_->logs = KeptLogs(kept_logs_folder(view_));
        vms_.emplace(*workshop_, node_, view_);
    }
    vms_->set_view(view_);
    QVD_CO_CHECK(co_await vms_->adopt(rebooted_));
    co_return Result<void>{};
}

Async<void> NodeLife::configure() {
    QVD_CO_TRY(const auto stored, co_await parts_.store.configuration());
    const config::View::Values values(stored.begin(), stored.end());
    view_ = file_.with_database(values);
    parts_.configured(view_);
    if (workshop_) {
        workshop_->limits = std::make_shared<const Limits>(limits_of(view_));
        workshop_->slots.resize(workshop_->limits->starting_max);
    }
    if (vms_) vms_->set_view(view_);
    co_return Result<void>{};
}

bool NodeLife::embedded() const {
    return !view_.find(config::database_host).has_value();
}

// Embedded, the node registers itself, with the first address of its network.
Async<void> NodeLife::find_row() {
    const auto given = view_.find(config::nodename);
    if (!given && !embedded())
        co_return Error{ErrorKind::unavailable, "node.unconfigured",
                        "not configured yet: nodename is missing in the node's file"};
    name_ = given.value_or(parts_.host_name);
    QVD_CO_TRY(auto row, co_await parts_.store.node(name_));
    if (!row && embedded()) {
        const auto addresses = network::addresses_of(view_);
        if (!addresses.ok())
            co_return Error{ErrorKind::unavailable, "node.unconfigured",
                            "not configured yet: " + addresses.error().sentence()};
        std::string first = network::to_text(addresses->node_first);
        const auto added = co_await parts_.store.add_node(name_, std::move(first));
        if (!added.ok() && added.error().kind() != ErrorKind::conflict) co_return added.error();
        log::info("node.registered", {{"node", name_}}, "in its own database");
        QVD_CO_TRY(row, co_await parts_.store.node(name_));
    }
    if (!row)
        co_return Error{ErrorKind::unavailable, "node.unconfigured",
                        "not registered yet: qa host add name=" + name_ + " address=ADDRESS"};
    node_ = row->node.id;
    address_ = row->node.address;
    if (!claimed_)
        rebooted_ = !row->runtime.boot_id.empty() && row->runtime.boot_id != parts_.boot_id;
    co_return Result<void>{};
}

Async<void> NodeLife::claim() {
    QVD_CO_TRY(epoch_, co_await parts_.store.claim_node(node_, parts_.boot_id));
    claimed_ = true;
    state_ = NodeState::starting;
    log::info("node.claimed", {{"node", name_}, {"epoch", epoch_}}, "");
    co_return Result<void>{};
}

// The VMs that run already stay connected: their links are part of the new rules.
Async<void> NodeLife::raise_network() {
    if (parts_.network == nullptr) co_return Result<void>{};
    QVD_CO_TRY(const auto rows, co_await parts_.store.vms_on(node_));
    std::vector<network::VmLink> links;
    for (const store::VmRecord& row : rows) {
        const VmPlan plan = plan_known(row, {}, view_);
        if (auto link = network::link_of(plan, plan.address)) links.push_back(std::move(*link));
    }
    co_return parts_.network->raise(view_, address_, embedded(), links);
}

// Those that properties name: who cannot be had is named now, and not at the first login to its
// VMs; the other VMs are none the worse.
Async<void> NodeLife::load_those_in_use() {
    if (!view_.get(plugin::hypervisors).empty()) co_return Result<void>{};
    QVD_CO_TRY(const std::vector<std::string> named,
               co_await parts_.store.property_values(std::string(plugin::hypervisor.name)));
    QVD_CO_TRY(const std::vector<std::string> unions,
               co_await parts_.store.property_values(std::string(plugin::unionfs_type.name)));
    std::set<std::string> wanted;
    for (const std::string& name : named) {
        if (name.empty()) continue;
        wanted.insert(hypervisor_of({{plugin::hypervisor.name, name}}, view_));
        for (const std::string& type : unions)
            if (name == "lxc") wanted.insert(plugin::lxc_plugin(type));
    }
    for (const std::string& name : wanted) {
        const Result<void> known = parts_.backend.know(name);
        if (!known.ok() && not_loaded_.insert(name).second)
            log::error("hypervisor.not_loaded", {{"plugin", name}},
                       "its VMs cannot start here: " + known.error().sentence());
    }
    co_return Result<void>{};
}

asio::awaitable<void> NodeLife::say(NodeState state, std::string reason) {
    if (state_ == state && reason_ == reason) co_return;
    if (!reason.empty())
        log::warn("node." + std::string(to_string(state)), {{"node", name_}}, reason);
    if (reason.empty()) log::info("node." + std::string(to_string(state)), {{"node", name_}}, "");
    state_ = state;
    reason_ = reason;
    parts_.tell(reason);
    if (!claimed_) co_return;
    const auto written =
        co_await parts_.store.set_node_state(node_, epoch_, state, std::move(reason));
    // The next report finds out whether somebody else has the node now.
    if (!written.ok())
        log::warn("node.state_not_written", {{"code", written.error().code()}},
                  written.error().sentence());
}

// ---- running -------------------------------------------------------------------------------

// The farm takes a node that says nothing for lost: whatever the hypervisor does, this report goes
// out soon, with what the kernel says.
asio::awaitable<void> NodeLife::ask_hypervisor(NodeLoad& load) {
    const Deadline deadline = Deadline::in(parts_.schedule.clock(), capacity_limit);
    const auto told = co_await parts_.backend.capacity(deadline);
    const Result<void> taken = told.ok() ? correct(load, *told) : Result<void>(told.error());
    std::string problem;
    // One that does one thing at a time may be busy.
    if (!taken.ok() && taken.error().code() != "backend.unsupported" &&
        taken.error().kind() != ErrorKind::timeout)
        problem = taken.error().sentence();
    if (problem != capacity_problem_ && !problem.empty())
        log::warn("node.capacity_measured", {{"code", taken.error().code()}},
                  problem + "; until it does better, the kernel's figures count");
    capacity_problem_ = std::move(problem);
}

Async<void> NodeLife::report_load() {
    QVD_CO_TRY(NodeLoad load, meter_.read());
    co_await ask_hypervisor(load);
    const Result<void> written = co_await parts_.store.heartbeat(node_, epoch_, load);
    if (!written.ok() && written.error().code() == "node.superseded")
        lose("node.superseded", "another hkd has claimed this node");
    // The next hkd says that the node is not registered, or registers it if the database is its
    // own.
    if (!written.ok() && written.error().kind() == ErrorKind::not_found)
        lose("node.deleted", "this node has been deleted from the farm");
    co_return written;
}

void NodeLife::lose(std::string_view event, std::string why) {
    log::error(event, {{"node", name_}}, why + "; this hkd ends and touches nothing");
    lost_ = std::move(why);
    alarm_->ring();
}

// Hypervisors that were silent when the node came up are asked until they answer.
asio::awaitable<void> NodeLife::keep_adopting() {
    while (!ending() && !vms_->silence().empty()) {
        co_await parts_.schedule.sleep(view_.get(config_delay));
        if (ending()) co_return;
        // Without the database it is tried again, too.
        (void)co_await vms_->adopt_silent(rebooted_);
        if (!ending()) co_await say(NodeState::running, vms_->silence());
    }
}

// From then on the farm hears of the node, however long its hypervisors take to say what they run.
Async<void> NodeLife::begin_reporting() {
    if (reporting_) co_return Result<void>{};
    QVD_CO_CHECK(co_await report_load());
    reporting_ = true;
    spawn(parts_.executor, keep_reporting(), 0);
    co_return Result<void>{};
}

asio::awaitable<void> NodeLife::keep_reporting() {
    while (!ending()) {
        co_await parts_.schedule.sleep(view_.get(ticker_delay));
        if (ending()) co_return;
        // Without the database the VMs run on; the orders loop has said so already.
        (void)co_await report_load();
    }
}

// Not in one loop with the node's own report: each VM that is slow to tell delays the others, and
// the farm takes a node that says nothing for lost.
asio::awaitable<void> NodeLife::keep_reporting_usage() {
    while (!ending()) {
        co_await parts_.schedule.sleep(view_.get(ticker_delay));
        if (ending()) co_return;
        co_await vms_->report_usage();
    }
}

asio::awaitable<void> NodeLife::keep_looking_after() {
    while (!ending()) {
        co_await parts_.schedule.sleep(view_.get(expiration_delay));
        if (ending()) co_return;
        co_await vms_->compare();
        co_await vms_->expire();
    }
}

asio::awaitable<void> NodeLife::keep_configured() {
    while (!ending()) {
        if (!changed_) co_await reconfigure_->wait_until(Alarm::never);
        if (ending() || !std::exchange(changed_, false)) continue;
        const auto configured = co_await configure();
        if (!configured.ok()) {
            log::warn("node.not_reconfigured", {}, configured.error().sentence());
            co_await parts_.schedule.sleep(view_.get(config_delay));
            changed_ = true;
            continue;
        }
        const auto raised = co_await raise_network();
        if (!raised.ok()) log::error("network.not_raised", {}, raised.error().sentence());
    }
}

void NodeLife::look_again() {
    changed_ = true;
    alarm_->ring();
    reconfigure_->ring();
}

void NodeLife::heard(const store::Announcement& announcement) {
    using What = store::Announcement::What;
    const bool everything = announcement.what == What::everything;
    if (everything || announcement.what == What::configuration) look_again();
    if (vms_ && (everything || announcement.what == What::vm_command)) vms_->look_for_orders();
}

asio::awaitable<void> NodeLife::wait(Milliseconds time) {
    co_await alarm_->wait_until(parts_.schedule.in(time));
}

// ---- the end -------------------------------------------------------------------------------

void NodeLife::stop(bool evacuate) {
    stop_ = true;
    evacuate_ = evacuate_ || evacuate;
    alarm_->ring();
    reconfigure_->ring();
}

void NodeLife::hand_over() {
    handed_over_ = true;
    stop(false);
}

asio::awaitable<void> NodeLife::leave() {
    if (lost_) {
        parts_.lost(*lost_);
        co_return;
    }
    if (vms_) vms_->close();
    if (!claimed_ || (handed_over_ && !evacuate_)) co_return;
    co_await say(NodeState::stopping, evacuate_ ? "its virtual machines are being stopped" : "");
    if (vms_ && evacuate_)
        co_await vms_->evacuate(view_.get(stopping_vms_timeout),
                                view_.get(killing_vms_retry_timeout));
    if (evacuate_ && parts_.network != nullptr)
        if (const auto removed = parts_.network->remove(view_); !removed.ok())
            log::error("network.not_removed", {}, removed.error().sentence());
    co_await say(NodeState::stopped, "");
}

}  // namespace qvd::hkd
