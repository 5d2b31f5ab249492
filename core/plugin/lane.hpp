// Where a plugin's code runs: on worker threads, at most as many calls at once as it declared.
#pragma once

#include <qvd/plugin.h>

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <mutex>

namespace qvd::plugin {

// Shared by all instances of a SERIAL plugin, one for each instance of a PER_INSTANCE one.
class Lane {
public:
    Lane(boost::asio::thread_pool& workers, qvd_threading threading);

    // [any] A [worker] function, later, on a worker thread.
    void post(std::function<void()> work);
    // [event loop] A [loop] function: at once on this thread if the declaration allows, otherwise
    // as post().
    void post_quick(std::function<void()> work);
    // [load] Alone with this lane, on this thread.
    void alone(const std::function<void()>& work);

private:
    boost::asio::strand<boost::asio::thread_pool::executor_type> strand_;
    boost::asio::thread_pool::executor_type workers_;
    bool concurrent_;
    bool may_block_;
    std::mutex busy_;  // held while a call of a lane that is not concurrent runs
};

}  // namespace qvd::plugin
