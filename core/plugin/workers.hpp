// Threads that run plugins' code.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include <cstddef>
#include <thread>
#include <vector>

namespace qvd::plugin {

// Belongs to one thread; what is posted to pool() may be from any.
class Workers {
public:
    explicit Workers(std::size_t threads) : pool_(threads), threads_(threads) {}
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    [[nodiscard]] boost::asio::thread_pool& pool() { return pool_; }
    // From now on so many; never fewer than there have been.
    void grow(std::size_t threads);
    // What waits is dropped, what runs ends first.
    void stop();

private:
    boost::asio::thread_pool pool_;
    std::size_t threads_;
    std::vector<std::thread> added_;
};

// Of one hypervisor alone: whatever another is stuck in, its calls begin. `bulk`: for those that
// may take many minutes, so that no start waits behind them.
struct OwnWorkers {
    OwnWorkers(std::size_t calls_at_once, std::size_t bulk_at_once)
        : calls(calls_at_once), bulk(bulk_at_once) {}

    Workers calls;
    Workers bulk;
};

}  // namespace qvd::plugin
