// One client's connection from its first byte to its last: handshake, request heads, the broker's
// answers, the relay. Everything that it waits for is bounded in time and memory.
#pragma once

#include "l7r/broker_link.hpp"
#include "l7r/loop.hpp"
#include "l7r/vm_connector.hpp"
#include "net/frames.hpp"
#include "net/limits.hpp"
#include "net/relay.hpp"
#include "net/request_head.hpp"
#include "net/stream.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qvd::l7r {

class Worker;

class Connection {
public:
    struct Client {
        net::Stream stream;
        std::string address;
        net::Admission admission = net::Admission::welcome;
    };

    Connection(Worker& worker, std::uint64_t id, Client client);

    // From the worker, each may end the connection.
    void begin();
    void go_on();  // a relay that stopped out of fairness
    void broker_came();
    void broker_lost();
    void no_broker_comes();
    void drain();
    // Ends it now; a relay's end is reported with `reason`.
    void close(std::string reason);

    // From the broker, about the current request.
    void on_progress(std::string text);
    void on_body(std::string bytes);
    void on_reply(net::Reply reply);
    void on_link(const net::Link& link);
    void on_attach(const net::Attach& attach);
    void on_switch(const net::Switch& ordered);
    void on_abort();

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] std::uint64_t request() const noexcept { return request_; }
    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    // Of its relay, as the broker named him.
    [[nodiscard]] const std::string& owner() const noexcept { return owner_; }
    [[nodiscard]] bool relaying() const noexcept { return relay_ != nullptr; }
    [[nodiscard]] BrokerLink* link() const noexcept { return link_.get(); }
    // A relay whose broker died belongs to the next one.
    void adopt(std::shared_ptr<BrokerLink> link) { link_ = std::move(link); }

private:
    enum class Phase {
        handshake,
        head,        // between requests, or in the middle of a head
        parked,      // a request that waits for a broker
        waiting,     // the broker has it
        connecting,  // to the VM
        linked,      // the VM is connected, the broker has not said Switch yet
        relaying,
        lingering,  // answered for the last time; the client may read it in peace
        closed,
    };

    void on_client(std::uint32_t events);
    void on_vm();
    void on_time();
    void on_linked(Result<UniqueFd> vm);

    void shake_hands();
    void read_head();
    void take(std::string_view bytes);
    void dispatch(net::RequestHead head);
    void submit();
    void watch_for_leaving(std::uint32_t events);
    void leave();

    [[nodiscard]] bool has_request() const;
    void write_progress();
    [[nodiscard]] std::string take_progress();
    bool push();
    bool say(const net::Reply& reply);
    void answer(const net::Reply& reply);
    void refuse(std::uint16_t status, const std::string& sentence);
    void next_request();
    void linger();
    void discard();
    void forget_request();

    void pump();
    void report_relay(const std::string& reason);
    [[nodiscard]] bool wants_input() const;
    void update();
    [[nodiscard]] bool watch();
    void log_end(const std::string& reason) const;

    Worker& worker_;
    std::uint64_t id_;
    net::Stream stream_;
    std::string address_;
    net::Admission admission_;
    Phase phase_ = Phase::handshake;

    net::HeadReader reader_;
    std::string inbox_;             // received, not used yet
    std::vector<std::string> out_;  // each a record of its own
    std::optional<net::RequestHead> parked_;
    bool greeted_ = false;
    bool head_begun_ = false;
    bool close_wanted_ = false;
    bool head_only_ = false;
    bool was_linked_ = false;

    std::uint64_t request_ = 0;
    std::uint64_t requests_ = 0;
    std::shared_ptr<BrokerLink> link_;
    std::string body_;  // of its answer, as far as it has come
    std::vector<std::string> progress_;
    Clock::time_point next_progress_;

    std::string owner_;
    UniqueFd vm_;  // between Linked and Switch
    std::unique_ptr<net::Relay> relay_;
    Clock::time_point relay_began_;
    std::uint64_t bytes_at_check_ = 0;

    Watch client_watch_;
    Watch vm_watch_;
    Timer timer_;
    Timer progress_timer_;
    VmConnector connector_;
};

}  // namespace qvd::l7r
