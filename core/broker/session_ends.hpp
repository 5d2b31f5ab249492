// Sessions on their way out: what their agents still offer is withdrawn, and their rows are ended,
// however long the database is away.
#pragma once

#include "agent/client.hpp"
#include "base/wakeup.hpp"
#include "broker/context.hpp"
#include "broker/sessions.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qvd::broker {

class SessionEnds {
public:
    explicit SessionEnds(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    // Ends `session` in the background. `asked`: the agent that was asked to start it, if nobody
    // may have taken what it offers since: it would wait a minute for a client that does not come.
    void begin(Context& context, Session session, std::string reason,
               std::optional<agent::Peer> asked);
    // Somebody wants its VM: no more time is taken for its agent, which can withdraw an old offer
    // by itself when it is asked for a new one. False if this session is not on its way out.
    bool hurry(SessionId session);
    [[nodiscard]] bool has(SessionId session) const;
    // The database may be there again.
    void try_again();
    [[nodiscard]] std::size_t size() const { return ends_.size(); }
    // The process ends: rows stay as they are, the next broker compares them.
    void close() { closed_ = true; }

private:
    struct End {
        Session session;
        std::string reason;
        std::optional<agent::Peer> asked;
        bool hurried = false;
        Wakeup changed;
    };

    static boost::asio::awaitable<void> run(SessionEnds& self, Context& context,
                                            std::shared_ptr<End> end);
    static boost::asio::awaitable<void> withdraw(Context& context, std::shared_ptr<End> end);
    static boost::asio::awaitable<void> end_row(Context& context, std::shared_ptr<End> end);

    boost::asio::any_io_executor executor_;
    std::vector<std::shared_ptr<End>> ends_;
    bool closed_ = false;
};

// A session while a story, or the watch over an inherited relay, holds it. However the holder
// leaves, the session ends with it.
class SessionHold {
public:
    SessionHold(Context& context, Session session, std::shared_ptr<Conversation> client);
    ~SessionHold();
    SessionHold(const SessionHold&) = delete;
    SessionHold& operator=(const SessionHold&) = delete;

    // The agent has been asked to start; or its offer is taken (or lost) and nothing is to be
    // withdrawn any more.
    void asked(agent::Peer agent) { asked_ = std::move(agent); }
    void taken() { asked_.reset(); }
    // Ends it now, where nothing stands in the way; what cannot be done at once goes on in the
    // background.
    boost::asio::awaitable<void> end(std::string reason);

private:
    void let_go();

    Context& context_;
    Session session_;
    std::shared_ptr<Conversation> client_;
    std::optional<agent::Peer> asked_;
    bool held_ = true;
};

}  // namespace qvd::broker
