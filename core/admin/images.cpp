#include "admin/images.hpp"

#include "base/file.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

namespace qvd::admin {

namespace {

constexpr std::size_t chunk_bytes = 1UL << 20U;

class Checksum {
public:
    Checksum() : context_(EVP_MD_CTX_new()) {
        EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    }
    void add(std::string_view bytes) {
        EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
    }
    [[nodiscard]] std::string text() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
        constexpr std::string_view digits = "0123456789abcdef";
        std::string hex;
        for (unsigned i = 0; i < size; ++i) {
            hex += digits[digest.at(i) >> 4U];
            hex += digits[digest.at(i) & 15U];
        }
        return hex;
    }

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// Tells some times a second, and the end.
class Teller {
public:
    Teller(const CopyProgress& progress, std::string_view what, std::uint64_t total)
        : progress_(progress), what_(what), total_(total) {}
    void tell(std::uint64_t done) {
        const auto now = std::chrono::steady_clock::now();
        if (!progress_ || (done < total_ && now - told_ < std::chrono::milliseconds(200))) return;
        told_ = now;
        progress_(what_, done, total_);
    }

private:
    const CopyProgress& progress_;
    std::string_view what_;
    std::uint64_t total_;
    std::chrono::steady_clock::time_point told_;
};

Error cannot(const std::string& what) {
    return errno_error("image.copy", "cannot " + what);
}

Error no_space(const std::string& folder, std::uint64_t space, std::uint64_t size) {
    return {ErrorKind::unavailable, "image.no_space",
            folder + " has room for " + std::to_string(space >> 20U) + " MiB, the image needs " +
                std::to_string((size + (1UL << 20U) - 1) >> 20U) + " MiB"};
}

// As many bytes as there are, up to the size of `buffer`, at this place.
Result<std::size_t> read_at(int fd, std::string& buffer, std::uint64_t at,
                            const std::string& path) {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
        const ssize_t got = ::pread(fd, buffer.data() + filled, buffer.size() - filled,
                                    static_cast<off_t>(at + filled));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cannot("read " + path);
        if (got == 0) break;
        filled += static_cast<std::size_t>(got);
    }
    return filled;
}

Result<void> write_at(int fd, std::string_view bytes, std::uint64_t at, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && (errno == ENOSPC || errno == EDQUOT))
            return Error{ErrorKind::unavailable, "image.no_space",
                         "the disk of " + path + " is full"};
        if (written < 0) return cannot("write " + path);
        bytes.remove_prefix(static_cast<std::size_t>(written));
        at += static_cast<std::uint64_t>(written);
    }
    return {};
}

struct Source {
    UniqueFd fd;
    std::string path;
    struct stat status {};

    [[nodiscard]] std::uint64_t size() const { return static_cast<std::uint64_t>(status.st_size); }
};

Result<Source> open_source(const std::string& path) {
    Source source{UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)}, path};
    if (!source.fd || ::fstat(source.fd.get(), &source.status) != 0 ||
        !S_ISREG(source.status.st_mode))
        return Error{ErrorKind::not_found, "image.missing", "there is no image file " + path};
    return source;
}

// Of the same file, unchanged, always the same.
std::string incoming_name(const Source& source) {
    std::error_code ignored;
    const struct stat& status = source.status;
    Checksum name;
    name.add(std::filesystem::absolute(source.path, ignored).lexically_normal().native());
    for (const auto part : {static_cast<std::int64_t>(status.st_size),
                            static_cast<std::int64_t>(status.st_mtim.tv_sec),
                            static_cast<std::int64_t>(status.st_mtim.tv_nsec),
                            static_cast<std::int64_t>(status.st_ino)})
        name.add("/" + std::to_string(part));
    return ".incoming-" + name.text().substr(0, 16);
}

// One copy at work: what it has of the source and where it writes.
class Copy {
public:
    Copy(const Source& source, int to, ImageCopy& copy)
        : source_(source), to_(to), copy_(copy), theirs_(chunk_bytes, '\0') {}

    Result<void> check_space(const std::string& folder);
    Result<void> write(const CopyProgress& progress);
    [[nodiscard]] Result<void> read_back(const CopyProgress& progress) const;

private:
    Result<bool> is_there(std::string_view bytes, std::uint64_t at);

    const Source& source_;
    int to_;
    ImageCopy& copy_;
    std::string theirs_;  // of an earlier copy
    std::uint64_t left_over_ = 0;
};

Result<void> Copy::check_space(const std::string& folder) {
    struct stat status {};
    struct statvfs space {};
    if (::fstat(to_, &status) != 0 || ::statvfs(folder.c_str(), &space) != 0)
        return errno_error("image.copy", folder);
    left_over_ = static_cast<std::uint64_t>(status.st_size);
    const auto free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    const std::uint64_t there = std::min(left_over_, source_.size());
    if (free < source_.size() - there) return no_space(folder, free + there, source_.size());
    return {};
}

// What an earlier copy wrote is believed where it is the same; behind the first difference nothing
// is.
Result<bool> Copy::is_there(std::string_view bytes, std::uint64_t at) {
    if (at + bytes.size() > left_over_) return false;
    QVD_TRY(const std::size_t got, read_at(to_, theirs_, at, copy_.path));
    if (got >= bytes.size() && std::string_view(theirs_).substr(0, bytes.size()) == bytes)
        return true;
    left_over_ = 0;
    return false;
}

Result<void> Copy::write(const CopyProgress& progress) {
    Teller teller(progress, "copied", source_.size());
    Checksum checksum;
    std::string buffer(chunk_bytes, '\0');
    std::uint64_t done = 0;
    while (done < source_.size()) {
        const auto got = read_at(source_.fd.get(), buffer, done, source_.path);
        if (!got.ok()) return got.error();
        if (*got == 0) break;
        const std::string_view bytes = std::string_view(buffer).substr(0, *got);
        QVD_TRY(const bool there, is_there(bytes, done));
        if (there)
            copy_.resumed_at = done + bytes.size();
        else
            QVD_CHECK(write_at(to_, bytes, done, copy_.path));
        checksum.add(bytes);
        done += bytes.size();
        teller.tell(done);
    }
    struct stat now {};
    if (::fstat(source_.fd.get(), &now) != 0 || done != source_.size() ||
        now.st_size != source_.status.st_size ||
        now.st_mtim.tv_sec != source_.status.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != source_.status.st_mtim.tv_nsec)
        return Error{ErrorKind::conflict, "image.changed",
                     source_.path + " was changed while it was copied"};
    copy_.checksum = "sha256:" + checksum.text();
    copy_.size_bytes = done;
    return {};
}

// From the disk, as far as the kernel can be made to.
Result<void> Copy::read_back(const CopyProgress& progress) const {
    if (::ftruncate(to_, source_.status.st_size) != 0 || ::fchmod(to_, 0640) != 0 ||
        ::fsync(to_) != 0)
        return cannot("write " + copy_.path);
    ::posix_fadvise(to_, 0, 0, POSIX_FADV_DONTNEED);
    Teller teller(progress, "checked", copy_.size_bytes);
    Checksum checksum;
    std::string buffer(chunk_bytes, '\0');
    for (std::uint64_t done = 0; done < copy_.size_bytes;) {
        QVD_TRY(const std::size_t got, read_at(to_, buffer, done, copy_.path));
        if (got == 0) break;
        checksum.add(std::string_view(buffer).substr(0, got));
        done += got;
        teller.tell(done);
    }
    if ("sha256:" + checksum.text() != copy_.checksum)
        return Error{ErrorKind::internal, "image.damaged",
                     "what was written to " + copy_.path +
                         " is read back differently: its disk or this machine's memory is bad"};
    return {};
}

// Alone; and not what an earlier holder has named differently meanwhile.
bool holds(int fd, const std::string& path) {
    struct stat ours {};
    struct stat there {};
    return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &ours) == 0 &&
           ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino;
}

// The other names in its folder of the file that is open.
std::vector<std::string> other_names(int fd, const std::string& path) {
    struct stat ours {};
    std::vector<std::string> names;
    if (::fstat(fd, &ours) != 0 || ours.st_nlink < 2) return names;
    const std::filesystem::path copy(path);
    std::error_code failure;
    for (std::filesystem::directory_iterator at(copy.parent_path(), failure), end;
         !failure && at != end; at.increment(failure)) {
        struct stat found {};
        if (at->path() != copy && ::lstat(at->path().c_str(), &found) == 0 &&
            found.st_ino == ours.st_ino && found.st_dev == ours.st_dev)
            names.push_back(at->path().filename().string());
    }
    return names;
}

// Who was killed when the copy had the name of an image already left both names: the copy goes on
// unless the image came to be, whose file is not to be touched.
Result<void> open_copy(ImageCopy& copy, const std::string& source, const IsImage& is_image) {
    const std::string folder = copy.path.substr(0, copy.path.rfind('/'));
    for (bool again = true; again;) {
        copy.lock =
            UniqueFd{::open(copy.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
        if (!copy.lock) return errno_error("image.copy", "cannot create a file in " + folder);
        if (!holds(copy.lock.get(), copy.path))
            return Error{ErrorKind::conflict, "image.busy",
                         source + " is being copied to " + folder + " already"};
        const std::vector<std::string> names = other_names(copy.lock.get(), copy.path);
        again = is_image && std::ranges::any_of(names, is_image);
        if (again && ::unlink(copy.path.c_str()) != 0) return cannot("remove " + copy.path);
    }
    return {};
}

// What the next try can go on with stays; behind what it cannot use nothing does.
Error broken_off(const ImageCopy& copy, Error error) {
    struct stat status {};
    const bool useless = error.code() == "image.changed" || error.code() == "image.damaged" ||
                         ::fstat(copy.lock.get(), &status) != 0 || status.st_size == 0;
    if (useless) {
        ::unlink(copy.path.c_str());
        return error;
    }
    return {error.kind(), error.code(),
            error.sentence() + "; what was copied stays for the next try, in " + copy.path};
}

}  // namespace

Result<ImageCopy> copy_image(const std::string& source, const std::string& folder,
                             const CopyProgress& progress, const IsImage& is_image) {
    QVD_TRY(const Source from, open_source(source));
    QVD_CHECK(file::make_folders(folder));
    ImageCopy copy;
    copy.path = folder + "/" + incoming_name(from);
    QVD_CHECK(open_copy(copy, source, is_image));
    Copy work(from, copy.lock.get(), copy);
    Result<void> copied = work.check_space(folder);
    if (copied.ok()) copied = work.write(progress);
    if (copied.ok()) copied = work.read_back(progress);
    if (copied.ok()) return copy;
    return broken_off(copy, copied.error());
}

Result<void> name_copy(const ImageCopy& copy, const std::string& name) {
    const std::string folder = copy.path.substr(0, copy.path.rfind('/'));
    const std::string to = folder + "/" + name;
    if (::link(copy.path.c_str(), to.c_str()) != 0 &&
        std::rename(copy.path.c_str(), to.c_str()) != 0)
        return errno_error("image.copy", "cannot name the image " + to);
    // The name, too, is on disk before the database tells anybody of it.
    const UniqueFd directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory || (::fsync(directory.get()) != 0 && errno != EINVAL))
        return errno_error("image.copy", "cannot write " + folder);
    return {};
}

void finish_copy(const ImageCopy& copy, const std::string& name, const IsImage& is_image) {
    const std::string folder = copy.path.substr(0, copy.path.rfind('/') + 1);
    // First those of earlier tries: this one is found by the copy's first name.
    for (const std::string& other : other_names(copy.lock.get(), copy.path))
        if (other != name && !is_image(other)) ::unlink((folder + other).c_str());
    if (holds(copy.lock.get(), copy.path)) ::unlink(copy.path.c_str());
}

}  // namespace qvd::admin
