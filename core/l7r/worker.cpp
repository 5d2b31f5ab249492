#include "l7r/worker.hpp"

#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "net/listener.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace qvd::l7r {

namespace {

// After the process ran out of descriptors.
constexpr Milliseconds accept_pause{200};
constexpr Milliseconds report_pause{1000};
// The node's status says all along what it lacks.
constexpr Milliseconds report_pause_unconfigured{60'000};
// Well below the longest frame; more relays take more hellos.
constexpr std::size_t requests_per_hello = 8192;
constexpr std::size_t owners_per_hello = 1024;
// Log, listener, epoll, links.
constexpr std::uint32_t own_descriptors = 32;

// Two descriptors for each connection must be had.
std::uint32_t affordable_connections(std::uint32_t wanted) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
    const auto descriptors = static_cast<std::uint32_t>(
        std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<std::uint32_t>::max()));
    return std::clamp(wanted, 1U, std::max(own_descriptors, descriptors - own_descriptors) / 2);
}

// What the broker says of one request.
void tell(Connection& connection, net::Progress& said) {
    connection.on_progress(std::move(said.text));
}
void tell(Connection& connection, net::Body& said) {
    connection.on_body(std::move(said.bytes));
}
void tell(Connection& connection, net::Reply& said) {
    connection.on_reply(std::move(said));
}
void tell(Connection& connection, const net::Link& said) {
    connection.on_link(said);
}
void tell(Connection& connection, const net::Attach& said) {
    connection.on_attach(said);
}
void tell(Connection& connection, const net::Switch& said) {
    connection.on_switch(said);
}
void tell(Connection& connection, const net::Abort& /*said*/) {
    connection.on_abort();
}

// Its client has left, and the broker may not have heard of it: it waits for the end of a relay.
template <class Said>
void tell_gone(BrokerLink& link, const Said& said) {
    if constexpr (std::is_same_v<Said, net::Switch> || std::is_same_v<Said, net::Abort>)
        link.send(net::Ended{said.request, 0, 0, 0, "the client left before its relay began"});
}

}  // namespace

Worker::Worker(Loop& loop, Settings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      listener_watch_(loop, [this](std::uint32_t /*events*/) { accept(); }),
      accept_again_(loop, [this] { update_listening(); }),
      patience_(loop, [this] { on_patience_over(); }),
      configuration_patience_(loop,
                              [this] {
                                  hopeless_ = !configured_;
                                  update_listening();
                              }),
      turned_away_report_(loop, [this] { report_turned_away(); }),
      news_(loop, [this] { tell_counts(); }),
      drain_limit_(loop, [this] { stop("drain time over"); }),
      buffer_(std::make_unique<std::array<char, net::Relay::buffer_bytes>>()) {
}

Worker::~Worker() = default;

void Worker::listen(UniqueFd socket) {
    listener_watch_.forget();
    listener_ = std::move(socket);
    if (!configured_) configuration_patience_.start(settings_.broker_patience);
    update_listening();
}

void Worker::update_listening() {
    const bool reachable = broker() != nullptr || !broker_expected_;
    const bool able = hopeless_ || (configured_ && reachable && !admission_.exhausted());
    accepting_ = listener_ && able && !draining_ && !accept_again_.running();
    // Exclusive: one of the workers that share the socket is woken, not all.
    if (!listener_watch_.watch(
            listener_.get(),
            accepting_ ? static_cast<std::uint32_t>(EPOLLIN | EPOLLEXCLUSIVE) : 0)) {
        accepting_ = false;
        accept_again_.start(accept_pause);
    }
    if (!accepting_ || !configured_ || announced_) return;
    announced_ = true;
    if (settings_.on_accepting) settings_.on_accepting();
}

// One a turn: whoever is busy leaves the next to another worker.
void Worker::accept() {
    Result<std::optional<net::Accepted>> next = net::accept_client(listener_.get());
    if (!next.ok()) {
        log::error("l7r.accept.failed", {{"connections", connections_.size()}},
                   next.error().sentence());
        accept_again_.start(accept_pause);
        update_listening();
        return;
    }
    if (!next.value()) return;
    net::Accepted client = std::move(*std::move(next).value());
    // Without a certificate nobody can be told anything; a closed connection says more than
    // silence.
    const net::Admission admission =
        hopeless_ ? net::Admission::drop : admission_.admit(client.address);
    if (admission == net::Admission::drop)
        turn_away(client);
    else
        begin(std::move(client), admission);
}

// Strangers decide how often this happens; the log gets a line a second at most.
void Worker::turn_away(const net::Accepted& client) {
    ++turned_away_;
    last_turned_away_ = client.address;
    if (turned_away_report_.running()) return;
    turned_away_report_.start(hopeless_ ? report_pause_unconfigured : report_pause);
}

void Worker::report_turned_away() {
    log::warn("l7r.connection.dropped",
              {{"connections", std::exchange(turned_away_, 0)}, {"client", last_turned_away_}},
              hopeless_ ? "there is no certificate or configuration yet: closed without an answer"
                        : "too many connections: closed without an answer");
}

void Worker::begin(net::Accepted client, net::Admission admission) {
    counts_changed();
    net::Stream stream =
        tls_ ? net::Stream(std::move(client.socket), *tls_) : net::Stream(std::move(client.socket));
    const std::uint64_t id = ++last_connection_;
    auto connection = std::make_unique<Connection>(
        *this, id, Connection::Client{std::move(stream), std::move(client.address), admission});
    Connection& begun = *connection;
    connections_.emplace(id, std::move(connection));
    begun.begin();
    // The kernel wakes whoever has watched longest: to the end of the queue, so that the workers
    // that share the socket take turns.
    listener_watch_.forget();
    update_listening();
}

void Worker::add_broker(UniqueFd socket, std::string instance) {
    log::info("l7r.broker.linked", {{"broker", instance}}, "a broker is there");
    // It will tell; what another one told ages.
    admission_.forget_others();
    links_.push_back(std::make_shared<BrokerLink>(
        loop_, std::move(socket), std::move(instance),
        BrokerLink::Events{
            [this](BrokerLink& link, net::Frame frame) { on_frame(link, std::move(frame)); },
            [this](BrokerLink& link, const std::string& why) { on_broker_lost(link, why); }}));
    patience_.stop();
    broker_expected_ = true;
    hand_over_relays();
    for_each([](Connection& connection) { connection.broker_came(); });
    update_listening();
}

void Worker::counts_changed() {
    if (!news_.running()) news_.start(news_pause);
}

// Who has no broker, or no others, need not remember: the next one is told everything.
void Worker::tell_counts() {
    std::vector<net::Connections> news = admission_.news();
    const std::shared_ptr<BrokerLink> broker = this->broker();
    if (!broker || limits_.workers <= 1) return;
    for (net::Connections& piece : news) broker->send(std::move(piece));
}

// Tells the newest broker which relays nobody else looks after, and which requests another does:
// their sessions are to be left alone until they are handed over or over.
void Worker::hand_over_relays() {
    const std::shared_ptr<BrokerLink> broker = this->broker();
    if (!broker) return;
    net::Hello hello{settings_.instance, {}, {}, true};
    const auto tell = [&](std::vector<std::uint64_t>& list, std::uint64_t request) {
        list.push_back(request);
        if (hello.relays.size() + hello.elsewhere.size() < requests_per_hello &&
            hello.owners.size() < owners_per_hello)
            return;
        broker->send(hello);
        hello.relays.clear();
        hello.elsewhere.clear();
        hello.owners.clear();
    };
    for (const auto& [id, connection] : connections_) {
        if (!connection->relaying() || connection->link() != nullptr) continue;
        connection->adopt(broker);
        if (!connection->owner().empty())
            hello.owners.emplace_back(std::to_string(connection->request()), connection->owner());
        tell(hello.relays, connection->request());
    }
    for (const auto& [request, connection] : by_request_)
        if (connection->link() != nullptr && connection->link() != broker.get())
            tell(hello.elsewhere, request);
    hello.more = false;
    broker->send(hello);
}

void Worker::on_broker_lost(const BrokerLink& link, const std::string& why) {
    log::warn("l7r.broker.lost", {{"broker", link.instance()}}, why);
    if (settings_.on_broker_lost) settings_.on_broker_lost(link.instance());
    const auto found = std::find_if(links_.begin(), links_.end(),
                                    [&link](const auto& held) { return held.get() == &link; });
    if (found == links_.end()) return;
    // The link that calls us must outlive this call.
    loop_.defer([kept = *found] { static_cast<void>(kept); });
    links_.erase(found);
    for_each([&link](Connection& connection) {
        if (connection.link() == &link) connection.broker_lost();
    });
    hand_over_relays();
    if (!broker()) patience_.start(settings_.broker_patience);
    update_listening();
}

void Worker::on_patience_over() {
    broker_expected_ = false;
    for_each([](Connection& connection) { connection.no_broker_comes(); });
    update_listening();
}

std::shared_ptr<BrokerLink> Worker::broker() const {
    return links_.empty() || !links_.back()->alive() ? nullptr : links_.back();
}

void Worker::on_frame(BrokerLink& link, net::Frame frame) {
    // The request, if it is that broker's and still there.
    const auto find = [this, &link](std::uint64_t request) -> Connection* {
        const auto found = by_request_.find(request);
        if (found == by_request_.end() || found->second->link() != &link) return nullptr;
        return found->second;
    };
    std::visit(Overloaded{[&](net::Configure& configured) {
                              if (broker().get() == &link) configure(std::move(configured));
                          },
                          [&](net::Connections& elsewhere) {
                              if (broker().get() != &link) return;
                              admission_.heard(elsewhere);
                              update_listening();
                          },
                          [&](auto& said) {
                              if constexpr (requires { tell(std::declval<Connection&>(), said); }) {
                                  if (auto* its = find(said.request))
                                      tell(*its, said);
                                  else if (!by_request_.contains(said.request))
                                      tell_gone(link, said);
                              } else {
                                  log::warn("l7r.frame.unexpected", {{"broker", link.instance()}},
                                            "the broker sent a frame that is not for a worker");
                              }
                          }},
               frame);
}

void Worker::configure(net::Configure configure) {
    std::optional<net::TlsContext> tls;
    if (configure.use_tls) {
        Result<net::TlsContext> made = net::TlsContext::make(configure, settings_.kernel_tls);
        if (!made.ok()) {
            log::error("l7r.configure.refused", {{"code", made.error().code()}},
                       made.error().sentence() +
                           (configured_ ? "; the old certificate stays in use" : ""));
            if (settings_.on_status) settings_.on_status(made.error().sentence());
            return;
        }
        tls = std::move(made).value();
    }
    tls_ = std::move(tls);
    configure.certificate.clear();
    configure.key = Secret();
    configure.ticket_secret = Secret();
    // So that a head always fits into a frame.
    configure.max_head_bytes = std::clamp<std::uint32_t>(configure.max_head_bytes, 1024, 65536);
    const std::uint32_t own = affordable_connections(configure.connections);
    admission_.set(own, configure.connections, configure.connections_per_address);
    limits_ = std::move(configure);
    configured_ = true;
    hopeless_ = false;
    if (limits_.workers > 1)
        for (net::Connections& all : admission_.everything()) broker()->send(std::move(all));
    log::info("l7r.configured", {{"connections", own}},
              tls_ ? "the worker has its certificate and limits" : "the worker has its limits");
    if (settings_.on_status) settings_.on_status("");
    update_listening();
}

void Worker::drain(Milliseconds limit) {
    draining_ = true;
    listener_watch_.forget();
    listener_.reset();
    update_listening();
    if (limit.count() > 0) drain_limit_.start(limit);
    for_each([](Connection& connection) { connection.drain(); });
}

void Worker::stop(const std::string& reason) {
    draining_ = true;
    listener_watch_.forget();
    listener_.reset();
    for_each([&reason](Connection& connection) { connection.close(reason); });
}

std::size_t Worker::relays() const {
    return static_cast<std::size_t>(
        std::count_if(connections_.begin(), connections_.end(),
                      [](const auto& entry) { return entry.second->relaying(); }));
}

std::uint64_t Worker::enrol(Connection& connection) {
    by_request_[++last_request_] = &connection;
    return last_request_;
}

void Worker::go_on_later(std::uint64_t connection) {
    loop_.defer([this, connection] {
        const auto found = connections_.find(connection);
        if (found != connections_.end()) found->second->go_on();
    });
}

void Worker::closed(Connection& connection) {
    const auto found = connections_.find(connection.id());
    if (found == connections_.end()) return;
    admission_.release(connection.address());
    counts_changed();
    ended_.push_back(std::move(found->second));
    connections_.erase(found);
    if (ended_.size() == 1) loop_.defer([this] { ended_.clear(); });
    update_listening();
}

// The action may end any connection.
void Worker::for_each(const std::function<void(Connection&)>& action) {
    std::vector<std::uint64_t> ids;
    ids.reserve(connections_.size());
    for (const auto& [id, connection] : connections_) ids.push_back(id);
    for (const std::uint64_t id : ids) {
        const auto found = connections_.find(id);
        if (found != connections_.end()) action(*found->second);
    }
}

}  // namespace qvd::l7r
