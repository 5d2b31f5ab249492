// The broker's parts put together: configuration and plugins (re)loaded, links to workers and hkd
// kept, until it is stopped or drained.
#pragma once

#include "base/event_loop.hpp"
#include "broker/context.hpp"
#include "broker/crowd.hpp"
#include "broker/plugins.hpp"
#include "broker/session_ends.hpp"
#include "broker/session_rows.hpp"
#include "broker/sessions.hpp"
#include "broker/stranded.hpp"
#include "broker/vm_watch.hpp"
#include "broker/worker_link.hpp"
#include "net/role_link.hpp"

#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace qvd::broker {

class Broker {
public:
    // `runs` is asked whether a worker that has not said hello is still there. Plugins see the farm
    // as it was at most `inventory_age` ago.
    Broker(EventLoop& loop, net::RoleLink& link, config::View file_view,
           std::unique_ptr<store::Store> store, const Clock& clock,
           plugin::Catalogue installed = {}, SessionRows::Runs runs = &instance_runs,
           Milliseconds inventory_age = Milliseconds{10'000});
    ~Broker();
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;

    // Until stop().
    boost::asio::awaitable<void> run();
    void add_worker(UniqueFd socket);
    void add_hkd(UniqueFd socket);
    void stop();
    // Another broker takes the new requests: workers bring them there as soon as they know it.
    // Until then they are served here; returns when no story is left. Relays go on without a
    // broker, and their workers tell the next one of them.
    boost::asio::awaitable<void> drain();

    [[nodiscard]] plugin::Host& host() { return host_; }
    [[nodiscard]] std::size_t load() const { return sessions_.size(); }

private:
    struct Linked {
        std::weak_ptr<WorkerLink> worker;
        Secret configured;  // the packet that it got last
    };

    Async<void> load_configuration();
    Async<void> use_configuration(config::View view);
    Async<net::Configure> worker_configuration(config::View view);
    Async<void> take_inventory();
    void log_findings(const config::View& view);
    void report_metrics();
    void share_configuration();
    void renew_ticket_secret();
    boost::asio::awaitable<void> keep_worker(std::shared_ptr<WorkerLink> worker);
    boost::asio::awaitable<void> refresh();
    boost::asio::awaitable<void> keep_inventory();
    boost::asio::awaitable<void> keep_crowd();
    [[nodiscard]] std::vector<std::shared_ptr<WorkerLink>> linked_workers() const;
    [[nodiscard]] std::size_t stories() const;
    [[nodiscard]] std::uint64_t requests_begun() const;
    void hear(const store::Announcement& what);
    void check_operators();
    void report_status(const std::string& text, std::string_view event = "broker.status");
    void report_supervisor_settings();

    EventLoop& loop_;
    net::RoleLink& link_;
    config::View file_view_;
    std::unique_ptr<store::Store> store_;
    plugin::Catalogue installed_;
    const Clock& clock_;
    VmWatch vms_;
    Sessions sessions_;
    SessionEnds ends_;
    plugin::Host host_;
    plugin::Registry registry_;
    Context context_;
    SessionRows rows_;
    StrandedOrders stranded_{context_};
    std::optional<net::Configure> configuration_;
    std::list<Linked> workers_;
    std::map<std::string, std::string> loaded_;    // what the database said when it was used last
    std::set<std::string> findings_;               // as logged last
    std::map<std::string, std::int64_t> metrics_;  // of plugins, as logged last
    Secret ticket_secret_;                         // the same for all workers
    Crowd crowd_;
    Wakeup crowd_changed_;
    Clock::time_point ticket_secret_made_;
    store::Store::Token listening_;
    Wakeup changed_;  // configuration announced, or stop
    Wakeup stopped_;
    plugin::Inventories inventories_;
    Milliseconds inventory_age_;
    bool inventory_taken_ = false;
    bool outdated_ = true;  // the configuration is to be loaded (again)
    bool stopping_ = false;
    std::string status_;
};

}  // namespace qvd::broker
