#include "fuse_union.hpp"

#include "backend/mounts.hpp"
#include "common/cgroups.hpp"
#include "common/fields.hpp"
#include "common/files.hpp"
#include "common/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

namespace qvd::lxc {

namespace {

constexpr std::chrono::seconds patience{10};
constexpr std::chrono::milliseconds look_again{3};
constexpr std::string_view label_prefix = "files-";

bool is_mounted(const std::string& at) {
    const std::vector<Mounted> mounts = mounts_below(at);
    return std::any_of(mounts.begin(), mounts.end(), [&](const Mounted& mount) {
        return mount.path == at && mount.type.compare(0, 4, "fuse") == 0;
    });
}

std::string last_line(const std::string& path) {
    std::string text = read_file(path).value_or(std::string());
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.rfind('\n') + 1);
}

}  // namespace

std::vector<std::string> unionfs_fuse_arguments(const std::string& program, const Layers& layers) {
    return {program,
            "-f",
            "-o",
            "cow,suid,nodev,allow_other,default_permissions,use_ino,fsname=qvd",
            layers.changes + "=RW:" + layers.image + "=RO",
            layers.at};
}

std::vector<std::string> fuse_overlayfs_arguments(const std::string& program,
                                                  const Layers& layers) {
    return {program, "-f", "-o",
            "suid,nodev,allow_other,default_permissions,fsname=qvd,lowerdir=" + layers.image +
                ",upperdir=" + layers.changes + ",workdir=" + layers.work,
            layers.at};
}

std::vector<sdk::Process> FuseUnion::adopt(sdk::Processes& processes) {
    std::vector<sdk::Process> ended;
    for (const sdk::Process& process : processes.list(nullptr))
        if (!container_of(process.label).empty() && !processes.adopt(nullptr, process))
            ended.push_back(process);
    return ended;
}

std::string FuseUnion::label_of(const std::string& container) {
    return std::string(label_prefix) + container + "-" + std::to_string(now_ms());
}

std::string FuseUnion::container_of(const std::string& label) {
    if (label.compare(0, label_prefix.size(), label_prefix) != 0) return {};
    const std::size_t time = label.rfind('-');
    return time <= label_prefix.size()
               ? std::string()
               : label.substr(label_prefix.size(), time - label_prefix.size());
}

std::int64_t FuseUnion::began_ms(const std::string& label) {
    return parse_number(std::string_view(label).substr(label.rfind('-') + 1)).value_or(0);
}

std::string FuseUnion::obstacle(const std::string& /*folder*/) const {
    if (::access(program_.c_str(), X_OK) != 0)
        return "there is no program " + program_ + " (" + key_ + "; the package " + name() + ")";
    if (!kernel_has("fuse")) return "the kernel has no FUSE (modprobe fuse)";
    const UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    return device ? std::string() : "/dev/fuse cannot be opened";
}

void FuseUnion::mount(const Layers& layers, const std::string& container) {
    const std::string log = log_folder_ + "/" + container + ".files.log";
    ::unlink(log.c_str());
    sdk::ProcessOrder daemon;
    daemon.label = label_of(container);
    daemon.arguments = arguments_(program_, layers);
    daemon.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    daemon.output_path = log;
    const sdk::Process process = processes_.start(nullptr, daemon);
    move_to_cgroup(files_cgroup(container), process.pid);
    try {
        await_mount(process.pid, layers.at, log);
    } catch (...) {
        ::unlink(log.c_str());
        processes_.signal(daemon.label, SIGKILL);
        unmount_all(layers.at);
        throw;
    }
    ::unlink(log.c_str());
}

void FuseUnion::await_mount(int pid, const std::string& at, const std::string& log) const {
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!is_mounted(at)) {
        pollfd end{process.get(), POLLIN, 0};
        if (!process || ::poll(&end, 1, 0) > 0)
            throw sdk::Failure(QVD_UNAVAILABLE,
                               name() + " did not mount the VM's files: " +
                                   (last_line(log).empty() ? "it said nothing" : last_line(log)));
        if (std::chrono::steady_clock::now() > until)
            throw sdk::Failure(QVD_UNAVAILABLE, name() + " does not mount the VM's files");
        std::this_thread::sleep_for(look_again);
    }
}

}  // namespace qvd::lxc
