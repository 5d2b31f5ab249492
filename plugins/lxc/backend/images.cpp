#include "backend/images.hpp"

#include "backend/mounts.hpp"
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

UnpackedImage Images::prepare(const std::string& archive, const std::string& target,
                              sdk::Call& call) {
    make_folders(settings_.basefs, 0755);
    const Names names(target);
    if (names.name.empty() || names.name.front() == '.' || names.folder.empty())
        throw sdk::Failure(QVD_INVALID, "\"" + target + "\" cannot name an unpacked image");
    if (is_folder(target) && read_file(names.marker())) return find(target);
    const UniqueFd lock = lock_image(names, call);
    if (is_folder(target) && read_file(names.marker())) return find(target);
    if (is_folder(target)) {
        if (in_use_by_union(target))
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
    make_folders(part, 0755);
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
    if (!flush_to_disk(part) || !replace_file(names.marker(), result.text()) ||
        ::rename(part.c_str(), target.c_str()) != 0 || !flush_to_disk(names.folder)) {
        const std::string why = std::strerror(errno);
        remove_tree(part);
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot finish " + target + ": " + why);
    }
    return find(target);
}

void Images::remove(const std::string& target) {
    const Names names(target);
    if (in_use_by_union(target))
        throw sdk::Failure(QVD_CONFLICT, "a VM on this node uses the image " + names.name);
    ::unlink(names.marker().c_str());
    sweeper_.discard(target);  // the lock file stays: somebody may be waiting for it
}

void Images::collect() {
    constexpr std::string_view begins = "untar-";
    for (const std::string& name : names_in(settings_.basefs)) {
        if (name.compare(0, 9, "deleteme-") == 0) sweeper_.sweep(settings_.basefs + "/" + name);
        if (name.compare(0, begins.size(), begins) != 0) continue;
        // untar-NAME-PID-TIME; whoever unpacks NAME holds its lock.
        const std::size_t time = name.rfind('-');
        const std::size_t pid = name.rfind('-', time - 1);
        if (pid == std::string::npos || pid <= begins.size()) continue;
        const std::string image = name.substr(begins.size(), pid - begins.size());
        const UniqueFd lock = open_lock(settings_.basefs + "/lock." + image);
        if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0)
            remove_tree(settings_.basefs + "/" + name);
    }
}

}  // namespace qvd::lxc
