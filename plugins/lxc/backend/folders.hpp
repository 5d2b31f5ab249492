// Folders: making, removing, and removing in the background.
#pragma once

#include "backend/trees.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace qvd::lxc {

// Makes the folder and those above it; throws sdk::Failure if it cannot.
void make_folders(const std::string& path, unsigned mode);
// Makes the folder, and lets nobody in but root and, if it is not 0, this group; throws
// sdk::Failure.
void make_closed_folder(const std::string& path, unsigned group = 0);
// Names in a folder; none if it cannot be read.
std::vector<std::string> names_in(const std::string& path);
// Removes it with everything below, never across a mount and never through a link; stops early if
// `stop` becomes true. True once it is gone.
bool remove_tree(const std::string& path, const std::atomic<bool>* stop = nullptr);

bool ends_with(const std::string& text, std::string_view ending);

// Removes trees one after the other, on a thread of its own.
class Sweeper {
public:
    // `trees` outlives it.
    Sweeper(const Trees& trees, std::function<void(const std::string& sentence)> complain);
    // Stops between two files; what is left is found by the next collect().
    ~Sweeper();
    Sweeper(const Sweeper&) = delete;
    Sweeper& operator=(const Sweeper&) = delete;

    void sweep(const std::string& path);
    // Renames `path` within its folder to "deleteme-..." and sweeps that; one of that name is swept
    // where it is. False with errno.
    bool discard(const std::string& path);
    // Sweeps whatever an earlier process discarded in this folder.
    void sweep_discarded(const std::string& folder);

private:
    void run();

    const Trees& trees_;
    std::function<void(const std::string&)> complain_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;  // guards paths_
    std::condition_variable changed_;
    std::deque<std::string> paths_;
    std::thread thread_;
};

}  // namespace qvd::lxc
