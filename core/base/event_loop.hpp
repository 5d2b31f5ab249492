// The event loop of a process that has threads besides, and whose coroutines refer to what the
// process is made of.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <mutex>
#include <utility>

namespace qvd {

// One thread calls run(). What still waits when run() has returned refers to objects that live
// shorter than the loop: end_all() destroys it while they are still there.
class EventLoop : public boost::asio::io_context {
public:
    EventLoop() : boost::asio::io_context(1) {}

    // [any] Has the loop run `work`. False once end_all() has begun: it will not be run then.
    template <class Work>
    bool post(Work&& work) {
        const std::scoped_lock lock(mutex_);
        if (ended_) return false;
        boost::asio::post(*this, std::forward<Work>(work));
        return true;
    }

    // After run(), in its thread. Other threads may go on to call post().
    void end_all() {
        {
            const std::scoped_lock lock(mutex_);
            ended_ = true;
        }
        shutdown();
    }

private:
    std::mutex mutex_;  // guards ended_: nothing may be added while shutdown() takes things away
    bool ended_ = false;
};

}  // namespace qvd
