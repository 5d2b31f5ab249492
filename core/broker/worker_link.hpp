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
    // `on_hello` is called whenever the worker has said which requests it holds.
    WorkerLink(Context& context, std::shared_ptr<net::FrameChannel> channel,
               std::function<void()> on_hello, OnConnections on_connections);

    // Until the worker or its link ends. First gives it `configuration`, once there is one.
    boost::asio::awaitable<void> run();
    void configure(const net::Configure& configuration);
    void tell(const net::Connections& elsewhere);
    void close();

    // Said hello, to its end.
    [[nodiscard]] bool greeted() const { return !worker_.empty() && told_all_; }
    [[nodiscard]] const std::string& worker() const { return worker_; }
    // "worker:request" of all that may hold a session: its stories and relays here, and what an
    // earlier broker still looks after.
    [[nodiscard]] std::set<std::string> holders() const;
    // Stories that need this broker to come to their end; relays do not.
    [[nodiscard]] std::size_t stories() const;
    // Requests begun so far.
    [[nodiscard]] std::uint64_t begun() const { return begun_; }
    // Goes on with a session whose relay an earlier broker has begun.
    void resume(const Session& session, std::uint64_t request);

private:
    void handle(net::Frame frame);
    void greet(net::Hello hello);
    void begin(net::Request request);
    void take_up(std::string_view request, std::string_view owner);
    static boost::asio::awaitable<void> serve(std::shared_ptr<WorkerLink> self,
                                              std::shared_ptr<Conversation> client,
                                              std::uint64_t request);
    static boost::asio::awaitable<void> watch_over(std::shared_ptr<WorkerLink> self,
                                                   std::shared_ptr<Conversation> client,
                                                   Session session);
    static boost::asio::awaitable<void> watch_stream(std::shared_ptr<WorkerLink> self,
                                                     std::shared_ptr<Conversation> client,
                                                     StreamOwner owner);
    // Of a relay of its hellos.
    std::shared_ptr<Conversation> inherit(std::uint64_t request, std::string client_address);
    std::shared_ptr<Conversation> conversation(std::uint64_t request) const;

    Context& context_;
    std::shared_ptr<net::FrameChannel> channel_;
    std::function<void()> on_hello_;
    OnConnections on_connections_;
    Gate gate_;
    std::string worker_;
    bool told_all_ = true;
    std::uint64_t begun_ = 0;
    std::set<std::uint64_t> inherited_;  // relays of its hellos that nobody took up yet
    std::set<std::uint64_t> elsewhere_;  // an earlier broker's, as its last hello says
    std::map<std::uint64_t, std::shared_ptr<Conversation>> conversations_;
};

}  // namespace qvd::broker
