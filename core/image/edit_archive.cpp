#include "base/file.hpp"
#include "image/edit.hpp"
#include "image/terminal.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <string_view>
#include <utility>

namespace qvd::image {
namespace {

// In $1, with the program behind it. Mounts are this process's own. What the image's files lead to
// is not followed: they are looked at from outside of it.
constexpr const char* enter_script = R"(set -eu
root=$1
shift
for folder in proc sys dev dev/pts dev/shm run etc usr usr/sbin; do
    [ ! -L "$root/$folder" ] || { echo "the image's /$folder is a link" >&2; exit 126; }
done
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/etc" "$root/usr/sbin"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"

names=$root/etc/resolv.conf
link= made=
if [ -L "$names" ]; then link=$(readlink "$names"); rm "$names"; fi
if [ ! -e "$names" ]; then made=1; : >"$names"; fi
if [ -f "$names" ] && [ -r /etc/resolv.conf ]; then mount --bind /etc/resolv.conf "$names"; fi
policy=$root/usr/sbin/policy-rc.d
ours=
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    ours=1
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

status=0
chroot "$root" "$@" || status=$?

umount "$names" 2>/dev/null || true
[ -z "$made" ] || rm -f "$names"
[ -z "$link" ] || ln -sf "$link" "$names"
[ -z "$ours" ] || rm -f "$policy"
exit $status
)";

Error failure(const std::string& code, const std::string& sentence) {
    return {ErrorKind::unavailable, "image." + code, sentence};
}

std::uint64_t free_bytes(const std::string& folder) {
    struct statvfs space {};
    if (::statvfs(folder.c_str(), &space) != 0) return 0;
    return static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
}

// Of "result=unsafe sentence=why".
std::string field(const std::string& line, const std::string& key) {
    const std::size_t at = line.find(key + "=");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + key.size() + 1;
    return key == "sentence" ? line.substr(begin)
                             : line.substr(begin, line.find(' ', begin) - begin);
}

class ArchiveEdit : public Edit {
public:
    explicit ArchiveEdit(EditOrder order) : order_(std::move(order)) {}

    Result<void> open() override;
    Result<int> enter() override;
    Result<void> write(const std::string& output) override;

private:
    [[nodiscard]] std::string folder() const { return order_.work + "/tree"; }
    [[nodiscard]] std::string root() const { return extended_ ? folder() + "/rootfs" : folder(); }
    [[nodiscard]] Error why_not_unpacked(const std::string& result) const;

    EditOrder order_;
    bool extended_ = false;  // the root is the archive's folder rootfs
};

Error ArchiveEdit::why_not_unpacked(const std::string& result) const {
    const std::string code = field(result, "result");
    const std::string sentence = field(result, "sentence");
    const std::string room = std::to_string(free_bytes(order_.work) >> 20U);
    if (code == "too-big" || sentence.find("No space left") != std::string::npos)
        return failure("no_space", "there is no room to unpack the image in " + order_.work + " (" +
                                       room + " MiB are free)");
    if (code.empty()) return failure("build", "the image cannot be unpacked: " + result);
    return Error{ErrorKind::invalid, "image." + code, "the image cannot be unpacked: " + sentence};
}

Result<void> ArchiveEdit::open() {
    if (order_.unpacker.empty())
        return failure("tool", "qvd-unpack, which unpacks images, is not installed here");
    if (::mkdir(folder().c_str(), 0755) != 0)
        return errno_error("image.output", "cannot make a folder in " + order_.work);
    constexpr const char* most_entries = "20000000";
    std::string result;
    Command unpack{{order_.unpacker, order_.image, folder(),
                    std::to_string(free_bytes(order_.work)), most_entries}};
    unpack.stop_fd = order_.stop_fd;
    QVD_TRY(const int status, run_command(unpack, [&](const std::string& line) {
                if (!line.starts_with("progress=")) result = line;
            }));
    if (status != 0 || field(result, "result") != "ok") return why_not_unpacked(result);
    extended_ = field(result, "layout") == "extended";
    return {};
}

Result<int> ArchiveEdit::enter() {
    const bool person = order_.command.empty();
    Command inside{{"sh", "-c", enter_script, "enter", root()}};
    const std::vector<std::string> shell{
        "/bin/sh", "-c", "cd; [ ! -x /bin/bash ] || exec /bin/bash -l; exec /bin/sh -l"};
    const std::vector<std::string>& program = person ? shell : order_.command;
    inside.arguments.insert(inside.arguments.end(), program.begin(), program.end());
    inside.environment = {{"HOME", "/root"},
                          {"USER", "root"},
                          {"LOGNAME", "root"},
                          {"SHELL", "/bin/sh"},
                          {"LC_ALL", "C.UTF-8"},
                          {"TMPDIR", "/tmp"},
                          {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
    inside.apart = true;
    inside.stop_fd = order_.stop_fd;
    return run_at_terminal(inside, person);
}

Result<void> ArchiveEdit::write(const std::string& output) {
    std::string last;
    Command pack{{"tar", "--sort=name", "--numeric-owner", "--acls", "--xattrs",
                  "--xattrs-include=*", "--one-file-system", "-C", folder(), "-caf", output, "."},
                 {{"LC_ALL", "C.UTF-8"}, {"ZSTD_NBTHREADS", "0"}}};
    pack.stop_fd = order_.stop_fd;
    QVD_TRY(const int status, run_command(pack, [&](const std::string& line) { last = line; }));
    if (status == 0) return {};
    const bool full = last.find("No space left") != std::string::npos;
    return failure(full ? "no_space" : "build", "the image cannot be packed: " + last);
}

}  // namespace

std::unique_ptr<Edit> edit_archive(EditOrder order) {
    return std::make_unique<ArchiveEdit>(std::move(order));
}

std::unique_ptr<Edit> edit(EditOrder order) {
    if (order.image.find(".tar") != std::string::npos || order.image.ends_with(".tgz") ||
        order.image.ends_with(".txz"))
        return edit_archive(std::move(order));
    return edit_disk(std::move(order));
}

}  // namespace qvd::image
