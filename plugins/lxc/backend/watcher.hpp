// Notices the end of containers: one thread that waits on the sockets of their keepers.
#pragma once

#include "common/fields.hpp"
#include "common/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace qvd::lxc {

class Watcher {
public:
    // `ended` is called on the watcher's thread; with no fields if the keeper said nothing last.
    using Ended = std::function<void(std::uint64_t vm_id, const Fields& last)>;
    explicit Watcher(Ended ended);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    // `socket` was answered a "watch". A socket of the same VM that is watched already is dropped.
    void watch(std::uint64_t vm_id, UniqueFd socket);
    // Its end is not told from here on.
    void forget(std::uint64_t vm_id);
    bool watches(std::uint64_t vm_id);

private:
    void run();
    void wake();
    void serve(std::uint64_t vm_id, int fd);

    Ended ended_;
    UniqueFd wake_;
    std::mutex mutex_;  // guards sockets_ and stopping_
    std::map<std::uint64_t, UniqueFd> sockets_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace qvd::lxc
