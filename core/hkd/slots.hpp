// How many may do something at once, first come, first served (`hkd.vm.starting.max`).
#pragma once

#include "hkd/schedule.hpp"

#include <deque>
#include <memory>
#include <utility>

namespace qvd::hkd {

class Slots {
    struct Line;

public:
    // One of the slots; free again once it is released or goes away.
    class Slot {
    public:
        Slot() = default;
        Slot(Slot&& other) noexcept = default;
        Slot& operator=(Slot&& other) noexcept;
        Slot(const Slot&) = delete;
        Slot& operator=(const Slot&) = delete;
        ~Slot() { release(); }

        [[nodiscard]] bool held() const { return line_ != nullptr; }
        void release();

    private:
        friend class Slots;
        explicit Slot(std::shared_ptr<Line> line) : line_(std::move(line)) {}
        std::shared_ptr<Line> line_;
    };

    // `schedule` must outlive all waiters.
    Slots(Schedule& schedule, int count);

    [[nodiscard]] boost::asio::awaitable<Slot> take();
    // Without waiting, even if all are taken: for what runs already.
    [[nodiscard]] Slot take_anyway();
    void resize(int count);

    [[nodiscard]] int taken() const;
    [[nodiscard]] std::size_t waiting() const;

private:
    struct Ticket;

    static boost::asio::awaitable<Slot> take_from(std::shared_ptr<Line> line);

    std::shared_ptr<Line> line_;
};

}  // namespace qvd::hkd
