#include "connection.hpp"

#include "line.hpp"

#include <libvirt/virterror.h>

#include <algorithm>
#include <chrono>

namespace qvd::kvm {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds patience_at_the_end{2'000};  // of a process that wants to end
constexpr milliseconds look_again{100};             // whether the call was cancelled
constexpr std::size_t stuck_limit = 64;

qvd_status status_of(const virError& error) {
    switch (error.code) {
        case VIR_ERR_NO_DOMAIN:
            return QVD_NOT_FOUND;
        case VIR_ERR_CONFIG_UNSUPPORTED:
        case VIR_ERR_NO_SUPPORT:
            return QVD_UNSUPPORTED;
        case VIR_ERR_XML_ERROR:
        case VIR_ERR_XML_DETAIL:
        case VIR_ERR_INVALID_ARG:
            return QVD_INVALID;
        default:
            return QVD_UNAVAILABLE;
    }
}

// Waits until `condition`, or until the call is over.
template <class Condition>
bool wait(Connection::Line& line, std::unique_lock<std::mutex>& lock, const sdk::Call& call,
          Condition condition) {
    while (!condition()) {
        const milliseconds left = call.remaining();
        if (left.count() <= 0) return false;
        line.changed.wait_for(lock, std::min(left, look_again));
    }
    return true;
}

// The connection, once there is one; throws if there will not be one for now.
virConnectPtr connected(Connection::Line& line, std::unique_lock<std::mutex>& lock,
                        const sdk::Call& call) {
    const std::uint64_t before = line.attempts_begun;
    line.wanted = true;
    line.changed.notify_all();
    const bool known = wait(line, lock, call, [&] {
        return line.connection != nullptr || line.attempts_failed > before;
    });
    if (line.connection != nullptr) return line.connection;
    if (known)
        throw sdk::Failure(QVD_UNAVAILABLE, "there is no libvirt at " + line.uri + ": " +
                                                line.trouble + " (does libvirtd run?)");
    throw sdk::Failure(QVD_UNAVAILABLE,
                       "libvirt at " + line.uri + " accepts connections and does not answer");
}

}  // namespace

void fail_by_libvirt(const std::string& what) {
    const virError* const error = virGetLastError();
    if (error == nullptr || error->message == nullptr)
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot " + what + ": libvirt does not say why");
    throw sdk::Failure(status_of(*error), "cannot " + what + ": " + error->message);
}

bool is_missing() {
    const virError* const error = virGetLastError();
    return error != nullptr && error->code == VIR_ERR_NO_DOMAIN;
}

Connection::Connection(std::string uri, Hearer& hearer)
    : loop_(EventLoop::shared()),
      line_(std::make_shared<Line>(std::move(uri), hearer)),
      opener_([line = line_] { keep_open(line); }) {
}

Connection::~Connection() {
    std::unique_lock<std::mutex> lock(line_->mutex);
    line_->closing = true;
    line_->changed.notify_all();
    const bool ended = line_->changed.wait_for(
        lock, patience_at_the_end, [this] { return line_->closed && line_->orders == 0; });
    lock.unlock();
    line_->deafen();
    if (ended)
        opener_.join();
    else
        opener_.detach();  // it holds what it uses, and ends when libvirt lets go of it
}

void Connection::run(const sdk::Call& call, const std::string& turn,
                     std::function<void(const Order&)> order) {
    struct Outcome {
        bool done = false;
        std::exception_ptr error;
        std::atomic<bool> abandoned{false};
    };
    const auto outcome = std::make_shared<Outcome>();
    std::unique_lock<std::mutex> lock(line_->mutex);
    if (!turn.empty() && !wait(*line_, lock, call, [&] { return !line_->turns.contains(turn); }))
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "libvirt has not finished an earlier order for this VM");
    virConnect* const connection = connected(*line_, lock, call);
    if (line_->orders >= stuck_limit)
        throw sdk::Failure(QVD_UNAVAILABLE, "libvirt at " + line_->uri + " has not answered " +
                                                std::to_string(stuck_limit) + " orders yet");
    virConnectRef(connection);
    if (!turn.empty()) line_->turns.insert(turn);
    ++line_->orders;
    std::thread([line = line_, outcome, turn, connection, order = std::move(order)]() mutable {
        block_broken_pipes();
        std::exception_ptr error;
        try {
            order(Order{connection, &outcome->abandoned});
        } catch (...) {
            error = std::current_exception();
        }
        const bool alive = virConnectIsAlive(connection) == 1;
        virConnectClose(connection);
        order = nullptr;
        const std::lock_guard<std::mutex> done(line->mutex);
        if (!alive && line->connection == connection) line->broken = true;
        outcome->error = error;
        outcome->done = true;
        line->turns.erase(turn);
        --line->orders;
        line->changed.notify_all();
    }).detach();
    if (!wait(*line_, lock, call, [&] { return outcome->done; })) {
        outcome->abandoned = true;
        throw sdk::Failure(QVD_UNAVAILABLE, "libvirt at " + line_->uri + " did not answer in time");
    }
    if (outcome->error) std::rethrow_exception(outcome->error);
}

}  // namespace qvd::kvm
