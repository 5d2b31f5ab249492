#include "unpack/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace qvd::lxc {

namespace {

struct FreeArchive {
    void operator()(archive* a) const { archive_free(a); }
};
using Archive = std::unique_ptr<archive, FreeArchive>;

constexpr std::size_t block_bytes = 65536;
constexpr std::uint64_t entries_between_progress = 64;

std::string why(archive* a) {
    const char* text = archive_error_string(a);
    return text == nullptr ? "no reason given" : text;
}

class Unpacking {
public:
    Unpacking(int fd, const UnpackLimits& limits,
              const std::function<void(std::uint64_t)>& progress)
        : fd_(fd),
          limits_(limits),
          progress_(progress),
          in_(archive_read_new()),
          out_(archive_write_disk_new()) {
        archive_read_support_format_tar(in_.get());
        archive_read_support_filter_gzip(in_.get());
        archive_read_support_filter_xz(in_.get());
        archive_read_support_filter_zstd(in_.get());
        archive_read_support_filter_bzip2(in_.get());
        archive_write_disk_set_options(
            out_.get(), ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                            ARCHIVE_EXTRACT_ACL | ARCHIVE_EXTRACT_XATTR |
                            ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT);
    }

    UnpackResult run() {
        if (archive_read_open_fd(in_.get(), fd_, block_bytes) != ARCHIVE_OK)
            return fail("unreadable", "this is no tar archive: " + why(in_.get()));
        archive_entry* entry = nullptr;
        int status = ARCHIVE_OK;
        while ((status = archive_read_next_header(in_.get(), &entry)) >= ARCHIVE_WARN &&
               status != ARCHIVE_EOF)
            if (!count() || !take(entry)) return result_;
        if (status != ARCHIVE_EOF)
            return fail("unreadable", (result_.entries == 0 ? "this is no tar archive: "
                                                            : "the archive is damaged: ") +
                                          why(in_.get()));
        // Directories get their times and modes now.
        if (archive_write_close(out_.get()) < ARCHIVE_WARN)
            return fail("system", "cannot finish: " + why(out_.get()));
        return find_layout();
    }

private:
    UnpackResult& fail(const std::string& code, const std::string& sentence) {
        result_.code = code;
        result_.sentence = sentence;
        return result_;
    }
    bool refuse(const std::string& name, const std::string& what) {
        fail("unsafe", "the archive's entry \"" + name + "\" " + what);
        return false;
    }
    void tell_progress() {
        progress_(static_cast<std::uint64_t>(archive_filter_bytes(in_.get(), -1)));
    }

    bool count() {
        if (++result_.entries > limits_.entries) {
            fail("too-big",
                 "the archive has more than " + std::to_string(limits_.entries) + " entries");
            return false;
        }
        if (result_.entries % entries_between_progress == 0) tell_progress();
        return true;
    }
    bool take(archive_entry* entry);
    bool check_link(archive_entry* entry, const std::string& path);
    static void keep_harmless_attributes(archive_entry* entry);
    bool write(archive_entry* entry);
    bool write_content();
    UnpackResult find_layout();

    int fd_;
    UnpackLimits limits_;
    const std::function<void(std::uint64_t)>& progress_;
    Archive in_;
    Archive out_;
    UnpackResult result_;
};

bool Unpacking::take(archive_entry* entry) {
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) return refuse("?", "has a name that cannot be read");
    std::string path;
    if (!safe_path(name, path)) return refuse(name, "would lie outside of the image");
    if (path.empty()) path = ".";
    archive_entry_copy_pathname(entry, path.c_str());
    const bool hard_link = archive_entry_hardlink(entry) != nullptr;
    const auto type = archive_entry_filetype(entry);
    if (!hard_link && (type == AE_IFCHR || type == AE_IFBLK)) {
        // The container gets its own /dev; anywhere else a device has no business.
        if (path.rfind("dev/", 0) != 0 && path.rfind("rootfs/dev/", 0) != 0)
            return refuse(name, "is a device outside of dev/");
        ++result_.skipped;
        return true;
    }
    if (!hard_link && type == AE_IFSOCK) return ++result_.skipped, true;
    if (!check_link(entry, path)) return false;
    keep_harmless_attributes(entry);
    return write(entry);
}

bool Unpacking::check_link(archive_entry* entry, const std::string& path) {
    if (const char* target = archive_entry_hardlink(entry); target != nullptr) {
        std::string clean;
        if (!safe_path(target, clean) || clean.empty())
            return refuse(path, "is a link to a file outside of the image");
        archive_entry_copy_hardlink(entry, clean.c_str());
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
        const char* link = archive_entry_symlink(entry);
        if (link == nullptr || !safe_target(path, link))
            return refuse(path, "is a symbolic link that leads out of the image");
    }
    return true;
}

// File capabilities stay (ping needs them); trusted.overlay.* could misdirect the union mount.
void Unpacking::keep_harmless_attributes(archive_entry* entry) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    std::string capability;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
        if (std::strcmp(name, "security.capability") == 0)
            capability.assign(static_cast<const char*>(value), size);
    archive_entry_xattr_clear(entry);
    if (!capability.empty())
        archive_entry_xattr_add_entry(entry, "security.capability", capability.data(),
                                      capability.size());
}

bool Unpacking::write(archive_entry* entry) {
    const int status = archive_write_header(out_.get(), entry);
    if (status < ARCHIVE_WARN) {
        const bool through_link = std::strstr(why(out_.get()).c_str(), "symlink") != nullptr;
        const std::string name = archive_entry_pathname(entry);
        if (through_link) return refuse(name, "goes through a symbolic link of the archive");
        fail("system", "cannot make \"" + name + "\": " + why(out_.get()));
        return false;
    }
    if (archive_entry_hardlink(entry) == nullptr && archive_entry_size(entry) > 0 &&
        !write_content())
        return false;
    if (archive_write_finish_entry(out_.get()) >= ARCHIVE_WARN) return true;
    fail("system", std::string("cannot finish \"") + archive_entry_pathname(entry) +
                       "\": " + why(out_.get()));
    return false;
}

bool Unpacking::write_content() {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    for (;;) {
        const int status = archive_read_data_block(in_.get(), &block, &size, &offset);
        if (status == ARCHIVE_EOF) return true;
        if (status < ARCHIVE_WARN)
            return fail("unreadable", "the archive is damaged: " + why(in_.get())), false;
        result_.bytes += size;
        if (result_.bytes > limits_.bytes)
            return fail("too-big", "the archive holds more than " +
                                       std::to_string(limits_.bytes >> 20U) + " MiB"),
                   false;
        if (archive_write_data_block(out_.get(), block, size, offset) < ARCHIVE_WARN)
            return fail("system", "cannot write: " + why(out_.get())), false;
        if (result_.bytes % (16 * block_bytes) < size) tell_progress();
    }
}

UnpackResult Unpacking::find_layout() {
    struct stat found {};
    const auto is_there = [&found](const char* path) { return ::lstat(path, &found) == 0; };
    if (is_there("rootfs/sbin") && ::lstat("rootfs", &found) == 0 && S_ISDIR(found.st_mode)) {
        result_.layout = "extended";
    } else if (is_there("sbin")) {
        result_.layout = "basic";
    } else {
        return fail("layout", "the archive has neither sbin nor rootfs/sbin: it is no disk image");
    }
    result_.ok = true;
    return result_;
}

}  // namespace

UnpackResult unpack(int archive_fd, const UnpackLimits& limits,
                    const std::function<void(std::uint64_t)>& progress) {
    return Unpacking(archive_fd, limits, progress).run();
}

}  // namespace qvd::lxc
