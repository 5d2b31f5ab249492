#include "unpack/sandbox.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace qvd::lxc {

namespace {

// To write other owners' files with their modes and file capabilities; not mknod.
constexpr int kept_capabilities[] = {CAP_CHOWN, CAP_FOWNER, CAP_FSETID, CAP_DAC_OVERRIDE,
                                     CAP_SETFCAP};

// What libarchive, a decompressor and the C library call once everything is open.
constexpr int allowed_calls[] = {SCMP_SYS(read),
                                 SCMP_SYS(pread64),
                                 SCMP_SYS(readv),
                                 SCMP_SYS(lseek),
                                 SCMP_SYS(write),
                                 SCMP_SYS(pwrite64),
                                 SCMP_SYS(writev),
                                 SCMP_SYS(close),
                                 SCMP_SYS(open),
                                 SCMP_SYS(openat),
                                 SCMP_SYS(dup),
                                 SCMP_SYS(fcntl),
                                 SCMP_SYS(fstat),
                                 SCMP_SYS(stat),
                                 SCMP_SYS(lstat),
                                 SCMP_SYS(newfstatat),
                                 SCMP_SYS(statx),
                                 SCMP_SYS(fstatfs),
                                 SCMP_SYS(getdents64),
                                 SCMP_SYS(readlink),
                                 SCMP_SYS(readlinkat),
                                 SCMP_SYS(getcwd),
                                 SCMP_SYS(chdir),
                                 SCMP_SYS(fchdir),
                                 SCMP_SYS(mkdir),
                                 SCMP_SYS(mkdirat),
                                 SCMP_SYS(unlink),
                                 SCMP_SYS(unlinkat),
                                 SCMP_SYS(rmdir),
                                 SCMP_SYS(rename),
                                 SCMP_SYS(link),
                                 SCMP_SYS(linkat),
                                 SCMP_SYS(symlink),
                                 SCMP_SYS(symlinkat),
                                 SCMP_SYS(chmod),
                                 SCMP_SYS(fchmod),
                                 SCMP_SYS(fchmodat),
                                 SCMP_SYS(chown),
                                 SCMP_SYS(fchown),
                                 SCMP_SYS(lchown),
                                 SCMP_SYS(fchownat),
                                 SCMP_SYS(utimensat),
                                 SCMP_SYS(utime),
                                 SCMP_SYS(utimes),
                                 SCMP_SYS(futimesat),
                                 SCMP_SYS(truncate),
                                 SCMP_SYS(ftruncate),
                                 SCMP_SYS(umask),
                                 SCMP_SYS(setxattr),
                                 SCMP_SYS(lsetxattr),
                                 SCMP_SYS(fsetxattr),
                                 SCMP_SYS(getxattr),
                                 SCMP_SYS(lgetxattr),
                                 SCMP_SYS(fgetxattr),
                                 SCMP_SYS(brk),
                                 SCMP_SYS(mmap),
                                 SCMP_SYS(munmap),
                                 SCMP_SYS(mremap),
                                 SCMP_SYS(mprotect),
                                 SCMP_SYS(madvise),
                                 SCMP_SYS(futex),
                                 SCMP_SYS(geteuid),
                                 SCMP_SYS(getuid),
                                 SCMP_SYS(getegid),
                                 SCMP_SYS(getgid),
                                 SCMP_SYS(getpid),
                                 SCMP_SYS(gettid),
                                 SCMP_SYS(getrandom),
                                 SCMP_SYS(clock_gettime),
                                 SCMP_SYS(gettimeofday),
                                 SCMP_SYS(time),
                                 SCMP_SYS(ioctl),
                                 SCMP_SYS(rt_sigaction),
                                 SCMP_SYS(rt_sigprocmask),
                                 SCMP_SYS(rt_sigreturn),
                                 SCMP_SYS(sigaltstack),
                                 SCMP_SYS(exit),
                                 SCMP_SYS(exit_group),
                                 SCMP_SYS(restart_syscall),
                                 SCMP_SYS(poll),
                                 SCMP_SYS(access),
                                 SCMP_SYS(faccessat),
                                 SCMP_SYS(faccessat2),
                                 SCMP_SYS(sync_file_range),
                                 SCMP_SYS(prlimit64),
                                 SCMP_SYS(sysinfo),
                                 SCMP_SYS(rseq)};

// Making a file of these kinds takes mknod(); a FIFO is the only one that an image may have.
bool allow_fifos(scmp_filter_ctx filter) {
    constexpr scmp_datum_t kind = S_IFMT;
    const scmp_arg_cmp second{1, SCMP_CMP_MASKED_EQ, kind, S_IFIFO};  // of mknod()
    const scmp_arg_cmp third{2, SCMP_CMP_MASKED_EQ, kind, S_IFIFO};   // of mknodat()
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 1, &third) == 0 &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mknod), 1, &second) == 0;
}

bool filter_calls() {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == nullptr) return false;
    bool built = allow_fifos(filter);
    for (const int call : allowed_calls) {
        if (call < 0) continue;  // this architecture has no such call
        built = built && seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, nullptr) == 0;
    }
    built = built && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return built;
}

bool drop_capabilities() {
    std::uint64_t kept = 0;
    for (const int capability : kept_capabilities) kept |= std::uint64_t{1} << unsigned(capability);
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        if (((kept >> unsigned(capability)) & 1U) == 0 &&
            ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return false;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const auto low = static_cast<std::uint32_t>(kept);
    const auto high = static_cast<std::uint32_t>(kept >> 32U);
    const __user_cap_data_struct sets[2] = {{low, low, 0}, {high, high, 0}};
    return ::syscall(SYS_capset, &header, sets) == 0;
}

bool limit(__rlimit_resource resource, std::uint64_t most) {
    const rlimit value{most, most};
    return ::setrlimit(resource, &value) == 0;
}

bool close_all_but(int keep_fd) {
    const auto keep = static_cast<unsigned>(keep_fd);
    return (keep <= 3 || ::close_range(3, keep - 1, 0) == 0) &&
           ::close_range(keep + 1, ~0U, 0) == 0;
}

}  // namespace

std::string enter_sandbox(const std::string& target, int keep_fd, const SandboxLimits& limits) {
    const auto failed = [](const char* what) {
        return std::string("cannot ") + what + ": " + std::strerror(errno);
    };
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (!close_all_but(keep_fd)) return failed("close foreign files");
    if (::unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS) != 0)
        return failed("leave the node's namespaces");
    if (::chdir(target.c_str()) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0)
        return failed("make the target the root directory");
    if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NOFILE, 64) ||
        !limit(RLIMIT_AS, limits.memory_bytes) || !limit(RLIMIT_FSIZE, limits.file_bytes))
        return failed("limit itself");
    ::signal(SIGXFSZ, SIG_IGN);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !drop_capabilities())
        return failed("give up capabilities");
    if (!filter_calls()) return failed("filter its system calls");
    return {};
}

}  // namespace qvd::lxc
