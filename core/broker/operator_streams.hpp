// The streams that operators have open (consoles, screens, ssh): who loses his account or his role
// loses them, too.
#pragma once

#include "base/result.hpp"
#include "broker/conversation.hpp"
#include "model/operator.hpp"

#include <boost/asio/awaitable.hpp>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace qvd::store {
class Store;
}

namespace qvd::broker {

// Whose stream it is, and which role it takes: in words for the next broker, by way of the worker
// that holds the stream (net::Switch).
struct StreamOwner {
    std::string who;
    OperatorRole needed = OperatorRole::observer;
};
[[nodiscard]] std::string to_text(const StreamOwner& owner);
[[nodiscard]] std::optional<StreamOwner> parse_stream_owner(std::string_view text);

// Belongs to the broker's event loop.
class OperatorStreams {
    struct Stream {
        std::string who;
        OperatorRole needed = OperatorRole::observer;
        std::shared_ptr<Conversation> client;
    };
    using Streams = std::list<Stream>;

public:
    // A stream, as long as it is open.
    class Open {
    public:
        Open(OperatorStreams& all, std::string who, OperatorRole needed,
             std::shared_ptr<Conversation> client);
        ~Open();
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;

    private:
        OperatorStreams& all_;
        Streams::iterator its_;
    };

    [[nodiscard]] bool empty() const { return streams_.empty(); }
    // Ends those whose operator is gone, blocked, or not in the role that they need. Without the
    // database none.
    boost::asio::awaitable<void> check(store::Store& store);

private:
    void end(const std::string& who, OperatorRole role);

    Streams streams_;
};

}  // namespace qvd::broker
