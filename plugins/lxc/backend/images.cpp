#include "backend/images.hpp"

#include "backend/unpacker.hpp"
#include "common/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace qvd::lxc {

namespace {

constexpr std::chrono::milliseconds look_again{50};  // at a lock that another node may hold

struct Names {
    explicit Names(const std::string& target)
        : folder(target.substr(0, target.rfind('/'))), name(target.substr(target.rfind('/') + 1)) {}
    [[nodiscard]] std::string lock() const { return folder + "/lock." + name; }
    [[nodiscard]] std::string marker() const { return folder + "/." + name + ".complete"; }
    [[nodiscard]] std::string part() const {
        return folder + "/untar-" + name + "-" + std::to_string(::getpid()) + "-" +
               std::to_string(now_ms());
    }
    std::string folder;
    std::string name;
};

bool is_folder(const std::string& path) {
    struct stat found {};
    return ::lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

UniqueFd open_lock(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

// Waits for the image's lock; it is let go when the descriptor closes.
UniqueFd lock_image(const Names& names, sdk::Call& call) {
    UniqueFd lock = open_lock(names.lock());
    if (!lock)
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "cannot open " + names.lock() + ": " + std::strerror(errno));
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (call.remaining().count() <= 0)
            throw sdk::Failure(QVD_TIMEOUT, "somebody else is still unpacking " + names.name);
        call.progress(-1, "waiting for who is unpacking " + names.name);
        std::this_thread::sleep_for(look_again);
    }
    return lock;
}

qvd_status status_of(const std::string& code) {
    if (code == "unsafe" || code == "unreadable" || code == "layout" || code == "too-big")
        return QVD_INVALID;
    if (code == "missing") return QVD_NOT_FOUND;
    return code == "timeout" ? QVD_TIMEOUT : QVD_UNAVAILABLE;
}

// So that a crash of the node cannot leave half a copy under the final name.
bool flush_to_disk(const std::string& folder) {
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && ::syncfs(fd.get()) == 0;
}

}  // namespace

UnpackedImage Images::find(const std::string& target) {
    const Names names(target);
    const auto marker = read_file(names.marker());
    if (!marker || !is_folder(target))
        throw sdk::Failure(QVD_NOT_FOUND,
                           "the image " + names.name + " is not unpacked in " + names.folder);
    const Fields facts = Fields::parse(*marker);
    UnpackedImage image;
    image.path = target;
    image.root = facts.get("layout") == "extended" ? target + "/rootfs" : target;
    image.bytes = static_cast<std::uint64_t>(facts.number("bytes"));
    if (!is_folder(image.root))
        throw sdk::Failure(QVD_NOT_FOUND, image.root + " is no folder: the image is damaged");
    return image;
}

// The mark says when the image was used last: which copy is missed least, if room is needed.
UnpackedImage Images::find_for_use(const std::string& target) {
    ::utimensat(AT_FDCWD, Names(target).marker().c_str(), nullptr, 0);
    return find(target);
}

std::string Images::target_of(const sdk::Image& image) const {
    if (!image.unpacked_path().empty()) return std::string(image.unpacked_path());
    const std::string path(image.path());
    return folder_ + "/" + path.substr(path.rfind('/') + 1);
}

UnpackedImage Images::prepare(const std::string& archive, const std::string& target,
                              sdk::Call& call) {
    const Names names(target);
    if (names.name.empty() || names.name.front() == '.' || names.folder.empty())
        throw sdk::Failure(QVD_INVALID, "\"" + target + "\" cannot name an unpacked image");
    make_folders(names.folder, 0700);
    if (is_folder(target) && read_file(names.marker())) return find_for_use(target);
    const UniqueFd lock = lock_image(names, call);
    if (is_folder(target) && read_file(names.marker())) return find_for_use(target);
    if (is_folder(target)) {
        if (in_use(target))
            throw sdk::Failure(QVD_UNAVAILABLE,
                               target + " is in use and its mark " + names.marker() + " is gone");
        sweeper_.discard(target);
    }
    return unpack(archive, target, call);
}

UnpackedImage Images::unpack(const std::string& archive, const std::string& target,
                             sdk::Call& call) {
    const Names names(target);
    const std::string part = names.part();
    trees_.make(part);
    const std::string what = "unpacking " + names.name;
    const UnpackWatch watch{[&](int percent) { call.progress(percent, what); },
                            [&call] { return call.remaining(); }};
    const Fields result = run_unpacker({settings_.programs + "/qvd-unpack", archive, part,
                                        std::to_string(settings_.unpack_max_mib << 20),
                                        std::to_string(settings_.unpack_max_entries)},
                                       watch);
    const std::string code = result.get("result");
    if (code != "ok") {
        sweeper_.discard(part);  // it may take long, and who waits for the call should not
        throw sdk::Failure(status_of(code), archive + ": " + result.get("sentence"));
    }
    if (result.get("layout") == "extended")
        core_.warning("the image " + names.name +
                      " has the extended layout: its rootfs is used, its lxc/ and hooks/ are not");
    const std::string obstacle = finish(result, part, target);
    if (!obstacle.empty()) {
        sweeper_.discard(part);
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot finish " + target + ": " + obstacle);
    }
    return find(target);
}

// Why the image could not take its place; empty if it has.
std::string Images::finish(const Fields& result, const std::string& part,
                           const std::string& target) const {
    const Names names(target);
    const bool finished =
        flush_to_disk(part) && trees_.seal(part) && replace_file(names.marker(), result.text()) &&
        ::rename(part.c_str(), target.c_str()) == 0 && flush_to_disk(names.folder);
    return finished ? std::string() : std::strerror(errno);
}

void Images::remove(const std::string& target) {
    const Names names(target);
    if (in_use(target))
        throw sdk::Failure(QVD_CONFLICT, "a VM on this node uses the image " + names.name);
    ::unlink(names.marker().c_str());
    // The lock file stays: somebody may be waiting for it.
    if (!sweeper_.discard(target))
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "cannot remove " + target + ": " + std::strerror(errno));
}

void Images::collect() {
    constexpr std::string_view begins = "untar-";
    sweeper_.sweep_discarded(folder_);
    for (const std::string& name : names_in(folder_)) {
        if (name.compare(0, begins.size(), begins) != 0) continue;
        // untar-NAME-PID-TIME; whoever unpacks NAME holds its lock.
        const std::size_t time = name.rfind('-');
        const std::size_t pid = name.rfind('-', time - 1);
        if (pid == std::string::npos || pid <= begins.size()) continue;
        const std::string image = name.substr(begins.size(), pid - begins.size());
        const UniqueFd lock = open_lock(folder_ + "/lock." + image);
        if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0)
            trees_.remove(folder_ + "/" + name, nullptr);
    }
}

}  // namespace qvd::lxc
