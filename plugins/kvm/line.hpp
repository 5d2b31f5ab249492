// What the threads of a connection share. Private to it.
#pragma once

#include "connection.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>

namespace qvd::kvm {

struct Connection::Line {
    Line(std::string to, Hearer& who) : uri(std::move(to)), hearer_(&who) {}

    const std::string uri;

    std::mutex mutex;  // guards what follows
    std::condition_variable changed;
    virConnectPtr connection = nullptr;  // changed by the opener only
    bool broken = false;                 // of `connection`
    bool wanted = false;                 // somebody waits for a connection
    bool closing = false;
    bool closed = false;
    std::uint64_t attempts_begun = 0;
    std::uint64_t attempts_failed = 0;  // the number of the last one that failed
    std::string trouble;                // why it did
    std::set<std::string> turns;        // being worked for
    std::size_t orders = 0;             // under way

    // Calls `tell(Hearer&)` unless nobody listens any more.
    template <class Tell>
    void told(Tell tell) {
        const std::lock_guard<std::mutex> lock(hearing_);
        if (hearer_ != nullptr) tell(*hearer_);
    }
    void deafen() {
        const std::lock_guard<std::mutex> lock(hearing_);
        hearer_ = nullptr;
    }

private:
    std::mutex hearing_;  // guards hearer_
    Hearer* hearer_;
};

// Opens the connection, opens it again when it breaks, and closes it when the line closes.
void keep_open(const std::shared_ptr<Connection::Line>& line);

}  // namespace qvd::kvm
