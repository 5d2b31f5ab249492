#include "plugin/workers.hpp"

namespace qvd::plugin {

void Workers::grow(std::size_t threads) {
    for (; threads_ < threads; ++threads_) added_.emplace_back([this] { pool_.attach(); });
}

void Workers::stop() {
    pool_.stop();
    pool_.join();
    for (std::thread& thread : added_) thread.join();
    added_.clear();
}

}  // namespace qvd::plugin
