#include "broker/worker_link.hpp"

#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "base/text.hpp"
#include "broker/front.hpp"
#include "broker/session_ends.hpp"
#include "broker/spawn.hpp"

#include <algorithm>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

// What a worker says of one request.
void pass_on(Conversation& client, const net::Gone& /*said*/) {
    client.on_gone();
}
void pass_on(Conversation& client, const net::Linked& /*said*/) {
    client.on_linked();
}
void pass_on(Conversation& client, const net::LinkFailed& said) {
    client.on_link_failed(said.sentence);
}

}  // namespace

WorkerLink::WorkerLink(Context& context, std::shared_ptr<net::FrameChannel> channel,
                       std::function<void()> on_hello, OnConnections on_connections)
    : context_(context),
      channel_(std::move(channel)),
      on_hello_(std::move(on_hello)),
      on_connections_(std::move(on_connections)),
      gate_(context) {
}

void WorkerLink::configure(const net::Configure& configuration) {
    channel_->send(configuration);
}

void WorkerLink::tell(const net::Connections& elsewhere) {
    channel_->send(elsewhere);
}

void WorkerLink::close() {
    channel_->close();
}

asio::awaitable<void> WorkerLink::run() {
    const auto self = shared_from_this();
    for (;;) {
        auto frame = co_await channel_->receive();
        if (!frame.ok() && frame.error().code() == "frame.unknown") continue;  // of a newer build
        if (!frame.ok()) {
            if (frame.error().code() != "frame.closed")
                log::error("worker.malformed", {{"worker", worker_}}, frame.error().sentence());
            break;
        }
        handle(std::move(frame).value());
    }
    channel_->close();
    log::info("worker.gone", {{"worker", worker_}, {"requests", conversations_.size()}}, "");
    const auto left = conversations_;
    for (const auto& [request, client] : left) client->on_worker_lost();
}

std::shared_ptr<Conversation> WorkerLink::conversation(std::uint64_t request) const {
    const auto found = conversations_.find(request);
    return found == conversations_.end() ? nullptr : found->second;
}

void WorkerLink::handle(net::Frame frame) {
    std::visit(
        Overloaded{[this](net::Hello& hello) { greet(std::move(hello)); },
                   [this](net::Request& request) { begin(std::move(request)); },
                   [this](net::ConnectionClosed& closed) { gate_.forget(closed.connection); },
                   [this](net::Connections& held) { on_connections_(*this, held); },
                   [this](net::Ended& ended) {
                       inherited_.erase(ended.request);
                       if (const auto client = conversation(ended.request)) client->on_ended(ended);
                   },
                   [this](auto& said) {
                       if constexpr (requires { pass_on(std::declval<Conversation&>(), said); }) {
                           if (const auto client = conversation(said.request))
                               pass_on(*client, said);
                       } else {
                           log::error("worker.malformed", {{"worker", worker_}},
                                      "it sent a frame that only a broker sends");
                           channel_->close();
                       }
                   }},
        frame);
}

void WorkerLink::greet(net::Hello hello) {
    if (!worker_.empty() && hello.worker != worker_) {
        log::error("worker.malformed", {{"worker", worker_}}, "it changed its name");
        channel_->close();
        return;
    }
    worker_ = std::move(hello.worker);
    // A hello that comes again tells more of them; what was taken up already stays taken up.
    for (const std::uint64_t relay : hello.relays)
        if (!conversations_.contains(relay)) inherited_.insert(relay);
    for (const auto& [request, owner] : hello.owners) take_up(request, owner);
    if (told_all_) elsewhere_.clear();
    elsewhere_.insert(hello.elsewhere.begin(), hello.elsewhere.end());
    told_all_ = !hello.more;
    if (!told_all_) return;
    log::info(
        "worker.hello",
        {{"worker", worker_}, {"relays", inherited_.size()}, {"elsewhere", elsewhere_.size()}}, "");
    on_hello_();
}

void WorkerLink::begin(net::Request request) {
    if (!greeted() || conversations_.contains(request.request)) {
        log::error("worker.malformed", {{"worker", worker_}}, "a request out of order");
        channel_->close();
        return;
    }
    const std::uint64_t id = request.request;
    ++begun_;
    log::debug("request",
               {{"trace", worker_ + ":" + std::to_string(id)},
                {"client", request.client_address},
                {"path", request.target.substr(0, request.target.find('?'))}},
               "");
    auto client = std::make_shared<Conversation>(std::move(request), worker_, channel_);
    conversations_[id] = client;
    spawn_contained(channel_->executor(), serve(shared_from_this(), std::move(client), id));
}

asio::awaitable<void> WorkerLink::serve(std::shared_ptr<WorkerLink> self,
                                        std::shared_ptr<Conversation> client,
                                        std::uint64_t request) {
    co_await answer(self->context_, self->gate_, client);
    self->conversations_.erase(request);
}

std::set<std::string> WorkerLink::holders() const {
    std::set<std::string> all;
    for (const auto* requests : {&inherited_, &elsewhere_})
        for (const std::uint64_t request : *requests)
            all.insert(worker_ + ":" + std::to_string(request));
    for (const auto& [request, client] : conversations_) all.insert(client->holder());
    return all;
}

std::size_t WorkerLink::stories() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        conversations_, [](const auto& entry) { return !entry.second->relaying(); }));
}

std::shared_ptr<Conversation> WorkerLink::inherit(std::uint64_t request,
                                                  std::string client_address) {
    if (inherited_.erase(request) == 0) return nullptr;
    net::Request head;
    head.request = request;
    head.client_address = std::move(client_address);
    auto client = std::make_shared<Conversation>(std::move(head), worker_, channel_);
    conversations_[request] = client;
    return client;
}

// An operator's stream that an earlier broker has begun.
void WorkerLink::take_up(std::string_view request, std::string_view owner) {
    const auto number = text::to_integer(request);
    auto stream = parse_stream_owner(owner);
    if (!number || *number <= 0 || !stream) return;
    auto client = inherit(static_cast<std::uint64_t>(*number), "");
    if (!client) return;
    log::info("operator.stream_resumed", {{"operator", stream->who}, {"trace", client->holder()}},
              "it ran on while the broker was away");
    spawn_contained(channel_->executor(),
                    watch_stream(shared_from_this(), std::move(client), std::move(*stream)));
}

asio::awaitable<void> WorkerLink::watch_stream(std::shared_ptr<WorkerLink> self,
                                               std::shared_ptr<Conversation> client,
                                               StreamOwner owner) {
    Context& context = self->context_;
    const OperatorStreams::Open open(context.operator_streams, owner.who, owner.needed, client);
    // What changed while no broker looked, nobody has heard.
    co_await context.operator_streams.check(context.store);
    const net::Ended ended = co_await client->relayed();
    log::info("operator.stream_ended", {{"operator", owner.who}, {"trace", client->holder()}},
              ended.reason);
    self->conversations_.erase(client->request().request);
}

void WorkerLink::resume(const Session& session, std::uint64_t request) {
    auto client = inherit(request, session.client_address);
    if (!client) return;
    log::info("session.resumed", {{"session", session.id}, {"vm", session.vm}},
              "its relay ran on while the broker was away");
    spawn_contained(channel_->executor(),
                    watch_over(shared_from_this(), std::move(client), session));
}

asio::awaitable<void> WorkerLink::watch_over(std::shared_ptr<WorkerLink> self,
                                             std::shared_ptr<Conversation> client,
                                             Session session) {
    SessionHold hold(self->context_, session, client);
    const net::Ended ended = co_await client->relayed();
    co_await hold.end(ended.reason);
    self->conversations_.erase(client->request().request);
}

}  // namespace qvd::broker
