#include "supervisor/confinement.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace qvd::supervisor {

namespace {

Error failed(const std::string& what) {
    return errno_error("confine.failed", "cannot " + what);
}

// NOLINTBEGIN(cppcoreguidelines-pro-type-vararg): prctl() and syscall() are declared that way
Result<void> set(int option, unsigned long value, const char* what) {
    if (::prctl(option, value, 0, 0, 0) != 0) return failed(what);
    return {};
}

// At most `most`: to raise a hard limit even root may lack the right.
Result<void> limit(int resource, rlim_t most) {
    rlimit now{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &now) == 0)
        most = std::min(most, now.rlim_max);
    const rlimit both{most, most};
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &both) != 0)
        return failed("limit the resources of this process");
    return {};
}

// While still root: afterwards nobody may raise them again.
Result<void> empty_bounding_set() {
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         ++capability)
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return failed("drop the capabilities of this process");
    return {};
}

Result<void> become_user(const std::string& name) {
    const passwd* const user =
        ::getpwnam(name.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
    if (user == nullptr)
        return Error{ErrorKind::invalid, "confine.user",
                     "there is no OS user " + name +
                         "; `systemd-sysusers` or the package's set-up makes it"};
    if (user->pw_uid == 0)
        return Error{ErrorKind::invalid, "confine.user", "the user " + name + " is root"};
    if (::initgroups(name.c_str(), user->pw_gid) != 0 ||
        ::setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        ::setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
        return failed("become the user " + name);
    return {};
}

Result<void> drop_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> none{};
    if (::syscall(SYS_capset, &header, none.data()) != 0)
        return failed("drop the capabilities of this process");
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return {};
}

// NOLINTEND(cppcoreguidelines-pro-type-vararg)

}  // namespace

Result<void> confine(const Confinement& confinement) {
    ::tzset();  // later the file of the time zone is out of reach
    QVD_CHECK(limit(RLIMIT_CORE, 0));
    if (confinement.descriptors != 0) {
        QVD_CHECK(limit(RLIMIT_NOFILE, confinement.descriptors));
    }
    QVD_CHECK(empty_bounding_set());
    QVD_CHECK(become_user(confinement.user));
    QVD_CHECK(drop_capabilities());
    QVD_CHECK(set(PR_SET_NO_NEW_PRIVS, 1, "forbid new privileges"));
    // Processes of the same user cannot read this one's memory: it may hold keys.
    QVD_CHECK(set(PR_SET_DUMPABLE, 0, "close this process's memory"));
    if (::setresuid(0, 0, 0) == 0)
        return Error{ErrorKind::internal, "confine.failed", "root could be had again"};
    if (confinement.system_calls) return allow_only_worker_calls();
    return {};
}

}  // namespace qvd::supervisor
