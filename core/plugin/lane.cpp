#include "plugin/lane.hpp"

#include <boost/asio/post.hpp>

namespace qvd::plugin {

namespace asio = boost::asio;

Lane::Lane(asio::thread_pool& workers, qvd_threading threading)
    : strand_(asio::make_strand(workers.get_executor())),
      workers_(workers.get_executor()),
      concurrent_((threading & ~static_cast<qvd_threading>(QVD_MAY_BLOCK)) == QVD_CONCURRENT),
      may_block_((threading & QVD_MAY_BLOCK) != 0U) {
}

void Lane::post(std::function<void()> work) {
    if (concurrent_) {
        asio::post(workers_, std::move(work));
        return;
    }
    asio::post(strand_, [this, work = std::move(work)] {
        const std::scoped_lock lock(busy_);
        work();
    });
}

void Lane::post_quick(std::function<void()> work) {
    if (may_block_) {
        post(std::move(work));
        return;
    }
    if (concurrent_) {
        work();
        return;
    }
    const std::unique_lock lock(busy_, std::try_to_lock);
    if (lock.owns_lock())
        work();
    else
        post(std::move(work));
}

void Lane::alone(const std::function<void()>& work) {
    if (concurrent_) {
        work();
        return;
    }
    const std::scoped_lock lock(busy_);
    work();
}

}  // namespace qvd::plugin
