// The event loop of a process whose coroutines refer to what it is made of.
#pragma once

#include <boost/asio/io_context.hpp>

namespace qvd {

// One thread calls run(). What still waits when run() has returned refers to objects that live
// shorter than the loop: end_all() destroys it while they are still there.
class EventLoop : public boost::asio::io_context {
public:
    EventLoop() : boost::asio::io_context(1) {}
    // After run(), in its thread. Nothing may be posted afterwards.
    void end_all() { shutdown(); }
};

}  // namespace qvd
