#include "plugin/lane.hpp"

#include "base/log.hpp"

#include <boost/asio/post.hpp>

namespace qvd::plugin {

namespace asio = boost::asio;

qvd_threading concurrency_of(qvd_threading threading) {
    const qvd_threading kind = threading & ~static_cast<qvd_threading>(QVD_MAY_BLOCK);
    return kind == QVD_PER_INSTANCE || kind == QVD_CONCURRENT ? kind : qvd_threading{QVD_SERIAL};
}

Lane::Lane(asio::thread_pool& workers, qvd_threading threading, std::shared_ptr<Turn> turn)
    : workers_(workers.get_executor()),
      bulk_workers_(workers.get_executor()),
      turn_(std::move(turn)),
      may_block_((threading & QVD_MAY_BLOCK) != 0U) {
    if (concurrency_of(threading) == QVD_CONCURRENT)
        turn_ = nullptr;
    else if (!turn_)
        turn_ = std::make_shared<Turn>(workers);
}

Lane::Lane(OwnWorkers& workers, qvd_threading threading, std::shared_ptr<Turn> turn)
    : Lane(workers.calls.pool(), threading, std::move(turn)) {
    bulk_workers_ = workers.bulk.pool().get_executor();
}

void Lane::post(std::function<void()> work, bool bulk) {
    if (!turn_) {
        asio::post(bulk ? bulk_workers_ : workers_, std::move(work));
        return;
    }
    asio::post(turn_->strand, [turn = turn_, work = std::move(work)] {
        const std::scoped_lock lock(turn->busy);
        work();
    });
}

void Lane::post_quick(std::function<void()> work) {
    if (may_block_) {
        post(std::move(work));
        return;
    }
    if (!turn_) {
        work();
        return;
    }
    const std::unique_lock lock(turn_->busy, std::try_to_lock);
    if (lock.owns_lock())
        work();
    else
        post(std::move(work));
}

void Lane::alone(const std::function<void()>& work) {
    if (!turn_) {
        work();
        return;
    }
    const std::scoped_lock lock(turn_->busy);
    work();
}

void guarded(std::string_view plugin, std::string_view what, const std::function<void()>& work) {
    const auto complain = [&](std::string_view problem) {
        log::warn("plugin.misbehaves", {{"plugin", plugin}},
                  "threw an exception across the ABI from " + std::string(what) + ": " +
                      std::string(problem));
    };
    try {
        work();
    } catch (const std::exception& problem) {
        complain(problem.what());
    } catch (...) {
        complain("of an unknown type");
    }
}

}  // namespace qvd::plugin
