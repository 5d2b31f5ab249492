#include "store/postgres/pool.hpp"

#include "base/clock.hpp"
#include "base/log.hpp"
#include "store/answers.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace qvd::store::postgres {

namespace {

constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds longest_pause{2000};
constexpr int attempts = 3;

}  // namespace

class Pool::Lease {
public:
    Lease(std::shared_ptr<Pool> pool, std::shared_ptr<Connection> connection)
        : pool_(std::move(pool)), connection_(std::move(connection)) {}
    // Also when the caller is cancelled in the middle: then the connection is not usable.
    ~Lease() { pool_->give_back(connection_); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    [[nodiscard]] Connection& connection() const { return *connection_; }

private:
    std::shared_ptr<Pool> pool_;
    std::shared_ptr<Connection> connection_;
};

Async<std::vector<Rows>> Pool::run(std::vector<Statement> statements) {
    const auto self = shared_from_this();
    const Instant deadline = std::chrono::steady_clock::now() + access_.timeout;
    for (int left = attempts;;) {
        auto rows = co_await attempt(statements, deadline);
        if (rows.ok() || rows.error().code() != "store.again" || --left == 0) co_return rows;
    }
}

Async<std::vector<Rows>> Pool::attempt(const std::vector<Statement>& statements, Instant deadline) {
    QVD_CO_TRY(std::shared_ptr<Connection> connection, co_await acquire(deadline));
    const Lease lease(shared_from_this(), std::move(connection));
    std::vector<Statement> copy = statements;
    auto rows = co_await lease.connection().run(std::move(copy), deadline);
    co_return rows;
}

Async<std::shared_ptr<Connection>> Pool::acquire(Instant deadline) {
    for (;;) {
        if (closed_) co_return answers::down("the program is ending");
        while (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            if (connection->usable()) co_return connection;
            --places_taken_;
        }
        if (places_taken_ < access_.pool_size) {
            auto opened = co_await open(deadline);
            co_return opened;
        }
        const auto turn = std::make_shared<boost::asio::steady_timer>(executor_, deadline);
        waiting_.push_back(turn);
        boost::system::error_code error;
        co_await turn->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
        if (!error)
            co_return Error{ErrorKind::timeout, "store.timeout",
                            "all connections to the database were busy"};
    }
}

// A place taken; given back on every way out but the good one. Not a class of open()'s own: g++ 12
// destroys those of a coroutine twice.
class Pool::Place {
public:
    explicit Place(Pool& pool) : pool_(&pool) { ++pool.places_taken_; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
        if (pool_ == nullptr) return;
        --pool_->places_taken_;
        pool_->wake_one();
    }
    void keep() { pool_ = nullptr; }

private:
    Pool* pool_;
};

Async<std::shared_ptr<Connection>> Pool::open(Instant deadline) {
    if (last_failure_ && std::chrono::steady_clock::now() < try_again_) co_return *last_failure_;
    Place place(*this);
    auto opened = co_await Connection::open(executor_, access_, deadline);
    if (!opened.ok()) {
        if (!last_failure_)
            log::warn("store.down", {{"database", access_.where()}}, opened.error().sentence());
        pause_ = std::clamp(pause_ * 2, first_pause, longest_pause);
        try_again_ = std::chrono::steady_clock::now() + pause_;
        last_failure_ = opened.error();
        co_return opened;
    }
    if (last_failure_)
        log::info("store.up", {{"database", access_.where()}}, "the database answers again");
    pause_ = Milliseconds{0};
    last_failure_.reset();
    place.keep();
    co_return opened;
}

void Pool::give_back(const std::shared_ptr<Connection>& connection) {
    if (!closed_ && connection->usable())
        idle_.push_back(connection);
    else
        --places_taken_;
    wake_one();
}

void Pool::wake_one() {
    while (!waiting_.empty()) {
        const auto turn = waiting_.front().lock();
        waiting_.pop_front();
        if (turn && turn->cancel() > 0) return;
    }
}

void Pool::close() {
    closed_ = true;
    idle_.clear();
    while (!waiting_.empty()) wake_one();
}

}  // namespace qvd::store::postgres
