// The system calls of an l7r worker: an event loop over sockets that it was given, TLS, memory,
// time. What it makes by itself was seen by tracing it through logins, sessions, take-overs and the
// deaths of its neighbours; the rest is what the C library does where a machine differs.
#include "supervisor/confinement.hpp"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace qvd::supervisor {

namespace {

constexpr std::array allowed{
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(accept4),
    SCMP_SYS(connect),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    // waiting and time
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    // memory, except executable memory
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    // itself
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

// A worker that makes one of these is no longer ours.
constexpr std::array deadly{
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(bpf),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(pidfd_getfd),
};

using Filter = std::unique_ptr<void, decltype(&::seccomp_release)>;

bool add_plain_rules(scmp_filter_ctx filter) {
    bool good = true;
    for (const int call : allowed)
        if (call >= 0) good = good && ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
    for (const int call : deadly)
        if (call >= 0)
            good = good && ::seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0) == 0;
    return good;
}

bool allow_if(scmp_filter_ctx filter, int call, const scmp_arg_cmp& condition) {
    return ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition) == 0;
}

bool add_conditional_rules(scmp_filter_ctx filter) {
    bool good = true;
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
        good = good && allow_if(filter, call, {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0});
    for (const int family : {AF_INET, AF_INET6})
        good = good && allow_if(filter, SCMP_SYS(socket),
                                {0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0});
    // abort() and assertions: signals to itself only.
    const auto self = static_cast<scmp_datum_t>(::getpid());
    for (const int call : {SCMP_SYS(tgkill), SCMP_SYS(kill)})
        good = good && allow_if(filter, call, {0, SCMP_CMP_EQ, self, 0});
    // Its own limits may be read: no second argument sets them.
    const std::array own_limits{scmp_arg_cmp{0, SCMP_CMP_EQ, 0, 0},
                                scmp_arg_cmp{2, SCMP_CMP_EQ, 0, 0}};
    good = good && ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
                                            own_limits.data()) == 0;
    // fstat() of today's libc: the call with an empty path.
    constexpr scmp_datum_t at_empty_path = 0x1000;
    return good && allow_if(filter, SCMP_SYS(newfstatat),
                            {3, SCMP_CMP_MASKED_EQ, at_empty_path, at_empty_path});
}

}  // namespace

bool filter_available() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return false;
#else
    return true;
#endif
#else
    return true;
#endif
}

Result<void> allow_only_worker_calls() {
    if (!filter_available()) return {};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return errno_error("confine.failed", "cannot forbid new privileges");
    const Filter filter{::seccomp_init(SCMP_ACT_ERRNO(EPERM)), ::seccomp_release};
    if (!filter || !add_plain_rules(filter.get()) || !add_conditional_rules(filter.get()) ||
        ::seccomp_load(filter.get()) != 0)
        return Error{ErrorKind::unsupported, "confine.failed",
                     "the kernel takes no system call filter (seccomp)"};
    return {};
}

}  // namespace qvd::supervisor
