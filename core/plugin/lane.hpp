// Where a plugin's code runs: on worker threads, at most as many calls at once as it declared.
#pragma once

#include "plugin/workers.hpp"

#include <qvd/plugin.h>

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

namespace qvd::plugin {

// One call at a time: of a whole SERIAL plugin, or of one instance of a PER_INSTANCE one.
class Turn {
public:
    explicit Turn(boost::asio::thread_pool& workers)
        : strand(boost::asio::make_strand(workers.get_executor())) {}

    boost::asio::strand<boost::asio::thread_pool::executor_type> strand;
    std::mutex busy;  // held while a call runs, on whichever thread
};

// The lane of one instance. What is posted keeps alive what it needs of the lane.
class Lane {
public:
    // `turn` is shared with the other instances of a SERIAL plugin; null: one of its own.
    Lane(boost::asio::thread_pool& workers, qvd_threading threading,
         std::shared_ptr<Turn> turn = nullptr);
    // Of a hypervisor, with threads of its own.
    Lane(OwnWorkers& workers, qvd_threading threading, std::shared_ptr<Turn> turn = nullptr);

    // [any] A [worker] function, later, on a worker thread. `bulk`: on those for long ones, if the
    // plugin lets any number of calls run at once.
    void post(std::function<void()> work, bool bulk = false);
    // [event loop] A [loop] function: at once on this thread if the declaration allows and no other
    // call is under way, otherwise as post().
    void post_quick(std::function<void()> work);
    // [load] Alone with this lane, on this thread.
    void alone(const std::function<void()>& work);

private:
    boost::asio::thread_pool::executor_type workers_;
    boost::asio::thread_pool::executor_type bulk_workers_;
    std::shared_ptr<Turn> turn_;  // null: any number of calls at once
    bool may_block_;
};

// SERIAL, PER_INSTANCE or CONCURRENT; what the core does not know is SERIAL.
qvd_threading concurrency_of(qvd_threading threading);

// Calls back into a plugin; what it throws across is logged as its misbehaviour.
void guarded(std::string_view plugin, std::string_view what, const std::function<void()>& work);

}  // namespace qvd::plugin
