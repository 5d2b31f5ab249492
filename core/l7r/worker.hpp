// An l7r worker: accepts clients, asks the broker about each request, relays. It knows nothing of
// users and VMs, and everything that it is configured with comes from the broker.
#pragma once

#include "l7r/broker_link.hpp"
#include "l7r/connection.hpp"
#include "l7r/loop.hpp"
#include "net/frames.hpp"
#include "net/limits.hpp"
#include "net/listener.hpp"
#include "net/relay.hpp"
#include "net/tls.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace qvd::l7r {

class Worker {
public:
    // When 102s are written (protocol A3). The C client, once a second has passed without a byte,
    // takes one TLS record a second: so a quick start says everything in the record of the 101, and
    // a slow one a little now and then.
    static constexpr Milliseconds first_progress{800};
    static constexpr Milliseconds progress_gap{3000};
    static constexpr Milliseconds progress_pause{100};
    // How often the other workers hear, through the broker, how many connections this one holds.
    static constexpr Milliseconds news_pause{200};

    struct Settings {
        std::string instance;                // as Hello says it
        bool kernel_tls = false;             // what net::kernel_has_tls() said
        Milliseconds broker_patience{5000};  // how long clients wait for the next broker
        std::function<void()> on_accepting;  // once, when it begins to accept
        std::function<void(const std::string&)> on_status;  // what keeps it from working; or empty
        std::function<void(const std::string&)>
            on_broker_lost;  // the instance that it was; or empty
    };

    Worker(Loop& loop, Settings settings);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // The newest broker gets all new requests; older ones finish theirs.
    void add_broker(UniqueFd socket, std::string instance);
    // A later listener replaces the earlier.
    void listen(UniqueFd socket);
    // No new connections; finished() once the last one has ended, or at `limit` (0: no limit).
    void drain(Milliseconds limit);
    // Ends everything now.
    void stop(const std::string& reason);

    [[nodiscard]] bool finished() const { return draining_ && connections_.empty(); }
    [[nodiscard]] bool draining() const { return draining_; }
    [[nodiscard]] std::size_t relays() const;
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

    // For its connections.
    [[nodiscard]] Loop& loop() { return loop_; }
    [[nodiscard]] const net::Configure& limits() const { return limits_; }
    [[nodiscard]] std::span<char> buffer() { return {buffer_->data(), buffer_->size()}; }
    [[nodiscard]] std::shared_ptr<BrokerLink> broker() const;
    [[nodiscard]] bool broker_expected() const { return broker_expected_; }
    std::uint64_t enrol(Connection& connection);  // its new request id
    // How the logs of this process and of the broker name it.
    [[nodiscard]] std::string trace(std::uint64_t request) const {
        return settings_.instance + ":" + std::to_string(request);
    }
    void strike(std::uint64_t request) { by_request_.erase(request); }
    void go_on_later(std::uint64_t connection);
    void closed(Connection& connection);

private:
    void accept();
    void begin(net::Accepted client, net::Admission admission);
    void turn_away(const net::Accepted& client);
    void report_turned_away();
    void counts_changed();
    void tell_counts();
    void update_listening();
    void on_frame(BrokerLink& link, net::Frame frame);
    void configure(net::Configure configure);
    void on_broker_lost(const BrokerLink& link, const std::string& why);
    void on_patience_over();
    void hand_over_relays();
    void for_each(const std::function<void(Connection&)>& action);

    Loop& loop_;
    Settings settings_;
    net::Configure limits_;  // without certificates and keys
    std::optional<net::TlsContext> tls_;
    bool configured_ = false;
    bool hopeless_ = false;  // not configured for so long that clients had better hear it
    bool accepting_ = false;
    bool announced_ = false;
    bool draining_ = false;
    bool broker_expected_ = true;
    std::uint64_t last_connection_ = 0;
    std::uint64_t last_request_ = 0;

    UniqueFd listener_;
    Watch listener_watch_;
    Timer accept_again_;
    Timer patience_;
    Timer configuration_patience_;
    Timer turned_away_report_;
    std::uint64_t turned_away_ = 0;
    std::string last_turned_away_;
    Timer news_;
    Timer drain_limit_;
    net::ConnectionLimits admission_;
    std::vector<std::shared_ptr<BrokerLink>> links_;
    std::unique_ptr<std::array<char, net::Relay::buffer_bytes>> buffer_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
    std::unordered_map<std::uint64_t, Connection*> by_request_;
    std::vector<std::unique_ptr<Connection>> ended_;  // freed at the end of the turn
};

}  // namespace qvd::l7r
