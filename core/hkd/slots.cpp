#include "hkd/slots.hpp"

#include <algorithm>

namespace qvd::hkd {

namespace asio = boost::asio;

// Shared with slots and waiters, so that the last of them may go in any order.
struct Slots::Line {
    Schedule* schedule;
    int count;
    int taken = 0;
    std::deque<Ticket*> waiting;

    void admit();
};

// A place in the line; leaves it when the waiting coroutine is destroyed.
struct Slots::Ticket {
    explicit Ticket(std::shared_ptr<Line> its_line)
        : line(std::move(its_line)), alarm(line->schedule->alarm()) {
        line->waiting.push_back(this);
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    ~Ticket() { std::erase(line->waiting, this); }

    std::shared_ptr<Line> line;
    std::unique_ptr<Alarm> alarm;
    Slot slot;
};

void Slots::Line::admit() {
    while (taken < count && !waiting.empty()) {
        Ticket* const first = waiting.front();
        waiting.pop_front();
        ++taken;
        first->slot.line_ = first->line;
        first->alarm->ring();
    }
}

Slots::Slot& Slots::Slot::operator=(Slot&& other) noexcept {
    if (this != &other) {
        release();
        line_ = std::move(other.line_);
    }
    return *this;
}

void Slots::Slot::release() {
    if (const auto line = std::exchange(line_, nullptr)) {
        --line->taken;
        line->admit();
    }
}

Slots::Slots(Schedule& schedule, int count)
    : line_(std::make_shared<Line>(Line{&schedule, count, 0, {}})) {
}

asio::awaitable<Slots::Slot> Slots::take() {
    return take_from(line_);
}

asio::awaitable<Slots::Slot> Slots::take_from(std::shared_ptr<Line> line) {
    Ticket ticket(line);
    line->admit();
    while (!ticket.slot.held()) co_await ticket.alarm->wait_until(Alarm::never);
    co_return std::move(ticket.slot);
}

Slots::Slot Slots::take_anyway() {
    ++line_->taken;
    return Slot(line_);
}

void Slots::resize(int count) {
    line_->count = count;
    line_->admit();
}

int Slots::taken() const {
    return line_->taken;
}

std::size_t Slots::waiting() const {
    return line_->waiting.size();
}

}  // namespace qvd::hkd
