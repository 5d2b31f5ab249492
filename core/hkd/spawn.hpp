// Works that run beside each other on hkd's event loop.
#pragma once

#include "base/log.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <utility>

namespace qvd::hkd {

// Keeps `owner` until the work has ended. An exception is a broken invariant: it ends hkd, and the
// next one adopts the VMs. (In the broker it ends the one work: broker::spawn_contained.)
template <class Owner>
void spawn(const boost::asio::any_io_executor& executor, boost::asio::awaitable<void> work,
           Owner owner) {
    boost::asio::co_spawn(executor, std::move(work),
                          [owner = std::move(owner)](const std::exception_ptr& problem) {
                              if (!problem) return;
                              log::error("hkd.broken", {}, "a broken invariant; hkd ends");
                              std::rethrow_exception(problem);
                          });
}

}  // namespace qvd::hkd
