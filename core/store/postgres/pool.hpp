// A few connections shared by all calls of one program, opened when they are needed.
#pragma once

#include "store/postgres/connection.hpp"

#include <deque>

namespace qvd::store::postgres {

class Pool : public std::enable_shared_from_this<Pool> {
public:
    Pool(boost::asio::any_io_executor executor, Access access)
        : executor_(std::move(executor)), access_(std::move(access)) {}

    // The statements in one transaction, begun anew up to twice when others were faster (a
    // deadlock). Takes at most access.timeout, waiting for a connection included.
    Async<std::vector<Rows>> run(std::vector<Statement> statements);
    // Calls under way end with "store.down", and so does every later one.
    void close();

private:
    class Place;

    using Instant = Connection::Instant;

    // Gives the connection back, or its place if it is of no use any more.
    class Lease;

    Async<std::shared_ptr<Connection>> acquire(Instant deadline);
    Async<std::shared_ptr<Connection>> open(Instant deadline);
    Async<std::vector<Rows>> attempt(const std::vector<Statement>& statements, Instant deadline);
    void give_back(const std::shared_ptr<Connection>& connection);
    void wake_one();

    boost::asio::any_io_executor executor_;
    Access access_;
    std::vector<std::shared_ptr<Connection>> idle_;
    std::size_t places_taken_ = 0;  // connections in being or coming up
    std::deque<std::weak_ptr<boost::asio::steady_timer>> waiting_;
    // After a failure nobody tries again before this; it doubles up to 2 s.
    std::chrono::milliseconds pause_{0};
    Instant try_again_;
    std::optional<Error> last_failure_;
    bool closed_ = false;
};

}  // namespace qvd::store::postgres
