#include "hkd/collector/aside.hpp"

#include <boost/asio/post.hpp>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace qvd::hkd {

namespace {

// Of the calling thread alone; where that is refused it works on as it is.
void give_way() {
    constexpr int last = 19;
    constexpr int of_process = 1;
    constexpr int idle = 3 << 13;
    (void)::setpriority(PRIO_PROCESS, 0, last);
    // NOLINTNEXTLINE(*-vararg): there is no other way to say it
    (void)::syscall(SYS_ioprio_set, of_process, 0, idle);
}

}  // namespace

Aside::Aside(EventLoop& loop, Schedule& schedule) : loop_(loop), schedule_(schedule), thread_(1) {
    boost::asio::post(thread_, &give_way);
}

Aside::~Aside() {
    thread_.stop();
    thread_.join();
}

void Aside::post(std::function<void()> work, std::function<void()> then) {
    EventLoop* const loop = &loop_;
    boost::asio::post(thread_, [loop, work = std::move(work), then = std::move(then)]() mutable {
        work();
        work = nullptr;
        (void)loop->post(std::move(then));
    });
}

}  // namespace qvd::hkd
