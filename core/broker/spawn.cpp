#include "broker/spawn.hpp"

#include "base/log.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <utility>

namespace qvd::broker {

void spawn_contained(const boost::asio::any_io_executor& executor,
                     boost::asio::awaitable<void> work) {
    boost::asio::co_spawn(executor, std::move(work), [](const std::exception_ptr& problem) {
        if (!problem) return;
        try {
            std::rethrow_exception(problem);
        } catch (const std::exception& known) {
            log::error("request.broken", {}, known.what());
        } catch (...) {
            log::error("request.broken", {}, "an exception of an unknown type");
        }
    });
}

}  // namespace qvd::broker
