// One connection to PostgreSQL on the event loop: libpq in non-blocking pipeline mode.
#pragma once

#include "store/postgres/access.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statement.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <vector>

namespace qvd::store::postgres {

class Connection : public std::enable_shared_from_this<Connection> {
public:
    using Executor = boost::asio::any_io_executor;
    using Instant = std::chrono::steady_clock::time_point;

    // To the first of the hosts that answers, is a primary and has a schema that we know, each
    // tried for access.connect_timeout, all together until `deadline`.
    static Async<std::shared_ptr<Connection>> open(Executor executor, Access access,
                                                   Instant deadline);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // All statements in one round trip and one transaction; the answers in their order, or the
    // first error. After a time-out or a cancellation the connection is of no use any more.
    Async<std::vector<Rows>> run(std::vector<Statement> statements, Instant deadline);
    // Until the server says something, however long that takes: then the announcements that came.
    struct Heard {
        std::string channel;
        std::string payload;
    };
    Async<std::vector<Heard>> hear();
    // Ends hear() with "store.down".
    void close();

    // Whether nothing speaks against using it: idle, and the server has not hung up.
    [[nodiscard]] bool usable();

private:
    Connection(const Executor& executor, PGconn* connection);

    static Async<std::shared_ptr<Connection>> open_host(Executor executor, Access access,
                                                        std::string host, Instant deadline);
    static Async<std::string> resolve(Executor executor, std::string host, Instant deadline);
    Async<void> handshake();
    Async<void> check_schema(Instant deadline);
    Result<void> send(const std::vector<Statement>& statements);
    Async<void> flush();
    // The next answer; null at the end of a statement's.
    Async<PGresult*> answer();
    Async<std::vector<Rows>> collect(const std::vector<Statement>& statements);
    enum class Direction { read, write };
    Async<void> wait(Direction direction);
    // Cuts waiting short at `deadline`, until disarm().
    void arm(Instant deadline);
    void disarm();

    PGconn* connection_;
    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer timer_;
    unsigned turn_ = 0;  // of the timer, so that a late one does no harm
    bool timed_out_ = false;
    bool closed_ = false;
    bool busy_ = false;  // in the middle of run()
};

}  // namespace qvd::store::postgres
