#include "vma/output_tail.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>

namespace qvd::vma {

namespace {

constexpr std::size_t line_limit = 4096;
constexpr off_t put_aside_at = off_t{4} << 20U;
// Applications write here for as long as the session lives: beyond this its past is given up.
constexpr off_t kept = off_t{2} << 20U;
constexpr off_t freed_at_once = off_t{8} << 20U;

}  // namespace

Result<off_t> OutputTail::prepare(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) == 0 && facts.st_size > put_aside_at &&
        std::rename(path.c_str(), (path + ".1").c_str()) != 0)
        return errno_error("vma.log", "cannot put aside " + path);
    const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640)};
    if (!fd) return errno_error("vma.log", "cannot open " + path);
    return ::lseek(fd.get(), 0, SEEK_END);
}

Result<void> OutputTail::follow(const std::string& path, off_t offset) {
    close();
    file_.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file_) return errno_error("vma.log", "cannot open " + path);
    notify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!notify_ || ::inotify_add_watch(notify_.get(), path.c_str(), IN_MODIFY) < 0)
        return errno_error("vma.log", "cannot watch " + path);
    read_ = taken_ = freed_ = offset;
    watch_ = loop_.watch(notify_.get(), POLLIN, [this](short) {
        std::array<char, 4096> events{};
        while (::read(notify_.get(), events.data(), events.size()) > 0) {
        }
        read_some();
    });
    timer_ = loop_.after(Milliseconds{0}, [this] { read_some(); });
    return {};
}

void OutputTail::close() {
    loop_.remove(std::exchange(watch_, 0));
    loop_.remove(std::exchange(timer_, 0));
    file_.reset();
    notify_.reset();
    rest_.clear();
    skipping_ = false;
    read_ = taken_ = freed_ = 0;
}

void OutputTail::catch_up() {
    for (off_t before = -1; file_ && before != read_;) {
        before = read_;
        read_some();
    }
}

// At most 64 KiB in one turn: an application that floods its output must not keep callers waiting.
void OutputTail::read_some() {
    for (int part = 0; part < 16 && file_; ++part) {
        std::array<char, 4096> buffer{};
        const ssize_t got = ::pread(file_.get(), buffer.data(), buffer.size(), read_);
        if (got <= 0) {
            struct stat facts {};
            // Somebody emptied it.
            if (::fstat(file_.get(), &facts) == 0 && facts.st_size < read_)
                read_ = taken_ = freed_ = facts.st_size;
            return free_space();
        }
        read_ += got;
        take_lines({buffer.data(), static_cast<std::size_t>(got)});
    }
    if (!file_) return;
    loop_.remove(timer_);
    timer_ = loop_.after(Milliseconds{1}, [this] { read_some(); });
}

void OutputTail::take_lines(std::string_view bytes) {
    while (!bytes.empty() && file_) {
        const std::size_t end = bytes.find('\n');
        if (!skipping_) rest_ += bytes.substr(0, end);
        if (rest_.size() > line_limit) {
            rest_.clear();
            skipping_ = true;
        }
        if (end == std::string_view::npos) return;
        bytes.remove_prefix(end + 1);
        taken_ = read_ - static_cast<off_t>(bytes.size());
        skipping_ = false;
        const std::string line = std::exchange(rest_, {});
        on_line_(line);
    }
}

void OutputTail::free_space() {
    if (read_ - freed_ < freed_at_once + kept) return;
    // Offsets stay as they are, so that nothing is lost between reading and freeing; where the file
    // system cannot do it, the file just grows.
    ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, read_ - kept);
    freed_ = read_ - kept;
}

}  // namespace qvd::vma
