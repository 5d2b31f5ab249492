// One l7r worker: its requests become conversations, its events reach them.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"
#include "broker/gate.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>

namespace qvd::broker {

class WorkerLink : public std::enable_shared_from_this<WorkerLink> {
public:
    using OnConnections = std::function<void(const WorkerLink&, const net::Connections&)>;
    WorkerLink(Context& context, std::shared_ptr<net::FrameChannel> channel,
               OnConnections on_connections);

    // Until the worker or its link ends. First gives it `configuration`, once there is one.
    boost::asio::awaitable<void> run();
    void configure(const net::Configure& configuration);
    void tell(const net::Connections& elsewhere);
    void close();

    // Said hello, and which relays it held then: "worker:request".
    [[nodiscard]] bool greeted() const { return !worker_.empty(); }
    [[nodiscard]] std::set<std::string> holders() const;
    // Goes on with a session whose relay an earlier broker has begun.
    void resume(const Session& session, std::uint64_t request);

private:
    void handle(net::Frame frame);
    void begin(net::Request request);
    static boost::asio::awaitable<void> serve(std::shared_ptr<WorkerLink> self,
                                              std::shared_ptr<Conversation> client,
                                              std::uint64_t request);
    static boost::asio::awaitable<void> watch_over(std::shared_ptr<WorkerLink> self,
                                                   std::shared_ptr<Conversation> client,
                                                   Session session);
    std::shared_ptr<Conversation> conversation(std::uint64_t request) const;

    Context& context_;
    std::shared_ptr<net::FrameChannel> channel_;
    OnConnections on_connections_;
    Gate gate_;
    std::string worker_;
    std::set<std::uint64_t> inherited_;  // relays of its hellos that nobody took up yet
    std::map<std::uint64_t, std::shared_ptr<Conversation>> conversations_;
};

}  // namespace qvd::broker
