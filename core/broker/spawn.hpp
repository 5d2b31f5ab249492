// Works that run beside each other on the broker's event loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace qvd::broker {

// Runs `work` until it ends. What it throws is logged as request.broken and ends this work alone:
// one client's trouble must not become everybody's. (In hkd a throw ends the process: hkd::spawn.)
void spawn_contained(const boost::asio::any_io_executor& executor,
                     boost::asio::awaitable<void> work);

}  // namespace qvd::broker
