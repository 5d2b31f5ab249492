#include "backend/folders.hpp"

#include "common/files.hpp"
#include "common/unique_fd.hpp"

#include <qvd/plugin.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace qvd::lxc {

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

constexpr std::string_view discarded = "deleteme-";
constexpr int how_to_open = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// The names are read before anything is removed: a folder that changes is not read reliably.
std::vector<std::string> names_of(UniqueFd folder) {
    std::vector<std::string> names;
    const Directory directory(::fdopendir(folder.get()));
    if (!directory) return names;
    folder.release();
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    return names;
}

// Each level holds a descriptor: no tree is deeper than a process may have of them.
// NOLINTNEXTLINE(misc-no-recursion)
bool empty_folder(int folder, dev_t device, const std::atomic<bool>* stop) {
    bool all = true;
    for (const std::string& name : names_of(UniqueFd(::openat(folder, ".", how_to_open)))) {
        if (stop != nullptr && *stop) return false;
        if (::unlinkat(folder, name.c_str(), 0) == 0) continue;
        const UniqueFd below(::openat(folder, name.c_str(), how_to_open));
        struct stat found {};
        if (!below || ::fstat(below.get(), &found) != 0 || found.st_dev != device ||
            !empty_folder(below.get(), device, stop) ||
            ::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0)
            all = false;
    }
    return all;
}

}  // namespace

void make_folders(const std::string& path, unsigned mode) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        const bool last = slash == std::string::npos;
        if (::mkdir(part.c_str(), last ? mode : 0755) != 0 && errno != EEXIST)
            throw sdk::Failure(QVD_UNAVAILABLE,
                               "cannot make the folder " + part + ": " + std::strerror(errno));
        if (last) return;
    }
}

void make_closed_folder(const std::string& path, unsigned group) {
    make_folders(path, 0700);
    struct stat found {};
    const mode_t mode = group == 0 ? 0700 : 0710;
    if (::stat(path.c_str(), &found) == 0 && (found.st_mode & 07777U) == mode &&
        found.st_gid == group && found.st_uid == 0)
        return;
    if (::chown(path.c_str(), 0, group) != 0 || ::chmod(path.c_str(), mode) != 0)
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot close the folder " + path +
                                                " to other users: " + std::strerror(errno));
}

std::vector<std::string> names_in(const std::string& path) {
    UniqueFd folder(::open(path.c_str(), how_to_open));
    return folder ? names_of(std::move(folder)) : std::vector<std::string>();
}

bool remove_tree(const std::string& path, const std::atomic<bool>* stop) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return true;
    const UniqueFd folder(::open(path.c_str(), how_to_open));
    struct stat found {};
    return folder && ::fstat(folder.get(), &found) == 0 &&
           empty_folder(folder.get(), found.st_dev, stop) && ::rmdir(path.c_str()) == 0;
}

bool ends_with(const std::string& text, std::string_view ending) {
    return text.size() >= ending.size() &&
           text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

void Trees::make(const std::string& path) const {
    if (::mkdir(path.c_str(), 0755) != 0)
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "cannot make the folder " + path + ": " + std::strerror(errno));
}

// The kernel has no such seal for a folder.
bool Trees::seal(const std::string& /*path*/) const {
    return true;
}

bool Trees::remove(const std::string& path, const std::atomic<bool>* stop) const {
    return remove_tree(path, stop);
}

Sweeper::Sweeper(const Trees& trees, std::function<void(const std::string&)> complain)
    : trees_(trees), complain_(std::move(complain)), thread_([this] { run(); }) {
}

Sweeper::~Sweeper() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Sweeper::sweep(const std::string& path) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (std::find(paths_.begin(), paths_.end(), path) != paths_.end()) return;
        paths_.push_back(path);
    }
    changed_.notify_all();
}

bool Sweeper::discard(const std::string& path) {
    static std::atomic<unsigned> count{0};
    const std::size_t slash = path.rfind('/') + 1;
    if (path.compare(slash, discarded.size(), discarded) == 0) {
        sweep(path);
        return true;
    }
    const std::string fresh = path.substr(0, slash) + std::string(discarded) + path.substr(slash) +
                              "-" + std::to_string(now_ms()) + "-" + std::to_string(++count);
    if (::rename(path.c_str(), fresh.c_str()) != 0) return errno == ENOENT;
    sweep(fresh);
    return true;
}

void Sweeper::sweep_discarded(const std::string& folder) {
    for (const std::string& name : names_in(folder))
        if (name.compare(0, discarded.size(), discarded) == 0) sweep(folder + "/" + name);
}

void Sweeper::run() {
    constexpr int last = 19;
    ::setpriority(PRIO_PROCESS, 0, last);  // of this thread: starts go first
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !paths_.empty(); });
        if (stopping_) return;
        const std::string path = paths_.front();
        paths_.pop_front();
        lock.unlock();
        if (!trees_.remove(path, &stopping_) && !stopping_)
            complain_("cannot remove all of " + path + ": " + std::strerror(errno));
        lock.lock();
    }
}

}  // namespace qvd::lxc
