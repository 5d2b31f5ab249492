#include "store/postgres/connection.hpp"

#include "store/answers.hpp"
#include "store/deploy.hpp"
#include "store/postgres/errors.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace qvd::store::postgres {

namespace asio = boost::asio;

namespace {

Error too_slow() {
    return {ErrorKind::timeout, "store.timeout", "the database did not answer in time"};
}

PGconn* start(const Access::Parameters& parameters) {
    std::vector<const char*> keys;
    std::vector<const char*> values;
    for (const auto& [key, value] : parameters) {
        keys.push_back(key.c_str());
        values.push_back(value.reveal().data());  // a Secret's text ends with a NUL
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);
    return PQconnectStartParams(keys.data(), values.data(), 0);
}

// libpq would print them; what matters comes as an error, too.
void ignore_notice(void* /*argument*/, const PGresult* /*notice*/) {
}

bool is_socket_folder(const std::string& host) {
    return host.starts_with('/');
}

// What the answers to the statements come to.
class Collection {
public:
    explicit Collection(const std::vector<Statement>& statements) : statements_(statements) {}

    // A statement has its answer; false: there was none left.
    bool next() { return ++ended_ <= statements_.size(); }

    void add(PGresult* raw, Rows rows) {
        const ExecStatusType status = PQresultStatus(raw);
        if (status == PGRES_FATAL_ERROR && !failure_) {
            const bool deleting = ended_ < statements_.size() && statements_[ended_].deleting;
            failure_ = error_of(raw, deleting);
        }
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
            all_.push_back(std::move(rows));
    }

    Result<std::vector<Rows>> take() {
        if (failure_) return *failure_;
        if (all_.size() != statements_.size()) return answers::down("an answer is missing");
        return std::move(all_);
    }

private:
    const std::vector<Statement>& statements_;
    std::size_t ended_ = 0;
    std::vector<Rows> all_;
    std::optional<Error> failure_;
};

}  // namespace

Connection::Connection(const Executor& executor, PGconn* connection)
    : connection_(connection), socket_(executor), timer_(executor) {
}

Connection::~Connection() {
    // The descriptor is libpq's; Asio only watches it.
    if (socket_.is_open()) socket_.release();
    if (connection_ != nullptr) PQfinish(connection_);
}

Async<std::shared_ptr<Connection>> Connection::open(Executor executor, Access access,
                                                    Instant deadline) {
    Error last = answers::down("no server is configured");
    for (const std::string& host : access.hosts) {
        const auto until =
            std::min(deadline, std::chrono::steady_clock::now() + access.connect_timeout);
        auto opened = co_await open_host(executor, access, host, until);
        if (opened.ok()) co_return opened;
        last = opened.error();
    }
    co_return last;
}

Async<std::shared_ptr<Connection>> Connection::open_host(Executor executor, Access access,
                                                         std::string host, Instant deadline) {
    std::string address;
    if (!is_socket_folder(host)) {
        QVD_CO_TRY(address, co_await resolve(executor, host, deadline));
    }
    PGconn* const raw = start(access.parameters(host, address));
    if (raw == nullptr) co_return answers::down("there is no memory left");
    PQsetNoticeReceiver(raw, &ignore_notice, nullptr);
    const std::shared_ptr<Connection> connection(new Connection(executor, raw));
    connection->arm(deadline);
    const Result<void> shaken = co_await connection->handshake();
    connection->disarm();
    if (!shaken.ok()) {
        const Error& error = shaken.error();
        if (error.code() == "store.timeout") co_return answers::down(host + " does not answer");
        co_return error;
    }
    QVD_CO_CHECK(co_await connection->check_schema(deadline));
    co_return connection;
}

// libpq would look the name up itself, and stop the event loop for as long as that takes.
Async<std::string> Connection::resolve(Executor executor, std::string host, Instant deadline) {
    const auto resolver = std::make_shared<asio::ip::tcp::resolver>(executor);
    asio::steady_timer timer(executor, deadline);
    timer.async_wait([resolver](const boost::system::error_code& cancelled) {
        if (!cancelled) resolver->cancel();
    });
    boost::system::error_code error;
    const auto found = co_await resolver->async_resolve(
        host, "", asio::redirect_error(asio::use_awaitable, error));
    if (error || found.empty())
        co_return answers::down("the name " + host + " cannot be looked up: " + error.message());
    co_return found.begin()->endpoint().address().to_string();
}

Async<void> Connection::handshake() {
    Direction direction = Direction::write;
    while (PQstatus(connection_) != CONNECTION_BAD) {
        // Which socket it is may change from one step to the next.
        if (socket_.is_open()) socket_.release();
        socket_.assign(PQsocket(connection_));
        QVD_CO_CHECK(co_await wait(direction));
        const PostgresPollingStatusType polled = PQconnectPoll(connection_);
        if (polled == PGRES_POLLING_FAILED) break;
        if (polled == PGRES_POLLING_OK) {
            socket_.release();
            socket_.assign(PQsocket(connection_));
            PQsetnonblocking(connection_, 1);
            if (PQenterPipelineMode(connection_) != 1) break;
            co_return Result<void>{};
        }
        direction = polled == PGRES_POLLING_READING ? Direction::read : Direction::write;
    }
    co_return error_of(connection_);
}

Async<void> Connection::check_schema(Instant deadline) {
    std::vector<Statement> question;
    question.emplace_back("SELECT version FROM versions WHERE component = 'schema'");
    QVD_CO_TRY(const std::vector<Rows> rows, co_await run(std::move(question), deadline));
    const std::int64_t version = rows[0].empty() ? 0 : rows[0][0].integer("version");
    if (version == schema_version()) co_return Result<void>{};
    const std::string has = "the database has schema version " + std::to_string(version) +
                            " and this program needs " + std::to_string(schema_version());
    if (version > schema_version())
        co_return Error{ErrorKind::unavailable, "store.schema_newer",
                        has + ": a newer release of QVD made it; install that release here"};
    co_return Error{ErrorKind::unavailable, "store.schema_old",
                    has + ": run qvd-deploy-db of this release"};
}

Async<std::vector<Rows>> Connection::run(std::vector<Statement> statements, Instant deadline) {
    const auto self = shared_from_this();
    busy_ = true;
    QVD_CO_CHECK(send(statements));
    arm(deadline);
    const Result<void> sent = co_await flush();
    if (!sent.ok()) co_return sent.error();
    auto rows = co_await collect(statements);
    disarm();
    co_return rows;
}

Result<void> Connection::send(const std::vector<Statement>& statements) {
    for (const Statement& statement : statements) {
        std::vector<const char*> values;
        for (const Value& value : statement.values)
            values.push_back(value ? value->reveal().data() : nullptr);
        if (PQsendQueryParams(connection_, statement.sql, static_cast<int>(values.size()), nullptr,
                              values.data(), nullptr, nullptr, 0) != 1)
            return error_of(connection_);
    }
    if (PQpipelineSync(connection_) != 1) return error_of(connection_);
    return {};
}

Async<void> Connection::flush() {
    for (;;) {
        const int left = PQflush(connection_);
        if (left == 0) co_return Result<void>{};
        if (left < 0) co_return error_of(connection_);
        QVD_CO_CHECK(co_await wait(Direction::write));
        if (PQconsumeInput(connection_) != 1) co_return error_of(connection_);
    }
}

Async<PGresult*> Connection::answer() {
    while (PQisBusy(connection_) != 0) {
        QVD_CO_CHECK(co_await wait(Direction::read));
        if (PQconsumeInput(connection_) != 1) co_return error_of(connection_);
    }
    co_return PQgetResult(connection_);
}

Async<std::vector<Rows>> Connection::collect(const std::vector<Statement>& statements) {
    Collection collection(statements);
    // Of each statement its answer and a null, at the end the answer to the sync.
    for (;;) {
        QVD_CO_TRY(PGresult* const raw, co_await answer());
        if (raw == nullptr) {
            if (PQstatus(connection_) == CONNECTION_BAD) co_return error_of(connection_);
            if (!collection.next()) co_return answers::down("the connection broke");
            continue;
        }
        Rows rows(raw);
        if (PQresultStatus(raw) == PGRES_PIPELINE_SYNC) break;
        collection.add(raw, std::move(rows));
        if (PQstatus(connection_) == CONNECTION_BAD) co_return error_of(connection_);
    }
    busy_ = false;
    co_return collection.take();
}

Async<std::vector<Connection::Heard>> Connection::hear() {
    const auto self = shared_from_this();
    std::vector<Heard> heard;
    while (heard.empty()) {
        if (closed_) co_return answers::down("it was closed");
        if (PQconsumeInput(connection_) != 1) co_return error_of(connection_);
        while (PGnotify* const note = PQnotifies(connection_)) {
            heard.push_back({note->relname, note->extra});
            PQfreemem(note);
        }
        if (heard.empty()) QVD_CO_CHECK(co_await wait(Direction::read));
    }
    co_return heard;
}

void Connection::close() {
    closed_ = true;
    if (socket_.is_open()) socket_.cancel();
}

bool Connection::usable() {
    if (busy_ || closed_ || PQstatus(connection_) != CONNECTION_OK) return false;
    // An idle server says nothing but goodbye.
    return PQconsumeInput(connection_) == 1 && PQstatus(connection_) == CONNECTION_OK;
}

Async<void> Connection::wait(Direction direction) {
    if (timed_out_) co_return too_slow();
    const auto what = direction == Direction::read ? asio::posix::descriptor_base::wait_read
                                                   : asio::posix::descriptor_base::wait_write;
    boost::system::error_code error;
    co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
    if (timed_out_) co_return too_slow();
    if (error || closed_) co_return answers::down("the connection was given up");
    co_return Result<void>{};
}

void Connection::arm(Instant deadline) {
    timed_out_ = false;
    timer_.expires_at(deadline);
    timer_.async_wait(
        [weak = weak_from_this(), turn = ++turn_](const boost::system::error_code& error) {
            const auto self = weak.lock();
            if (error || !self || self->turn_ != turn) return;
            self->timed_out_ = true;
            if (self->socket_.is_open()) self->socket_.cancel();
        });
}

void Connection::disarm() {
    ++turn_;
    timer_.cancel();
}

}  // namespace qvd::store::postgres
