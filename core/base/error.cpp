#include "base/error.hpp"

#include <cerrno>
#include <system_error>

namespace qvd {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::invalid:
            return "invalid";
        case ErrorKind::not_found:
            return "not_found";
        case ErrorKind::denied:
            return "denied";
        case ErrorKind::conflict:
            return "conflict";
        case ErrorKind::unavailable:
            return "unavailable";
        case ErrorKind::timeout:
            return "timeout";
        case ErrorKind::cancelled:
            return "cancelled";
        case ErrorKind::unsupported:
            return "unsupported";
        case ErrorKind::internal:
            return "internal";
    }
    return "internal";
}

namespace {

ErrorKind kind_of_errno(int number) {
    switch (number) {
        case ENOENT:
        case ENOTDIR:
            return ErrorKind::not_found;
        case EACCES:
        case EPERM:
            return ErrorKind::denied;
        case EEXIST:
        case EBUSY:
            return ErrorKind::conflict;
        case EINVAL:
            return ErrorKind::invalid;
        case ETIMEDOUT:
            return ErrorKind::timeout;
        case ENOSYS:
        case EOPNOTSUPP:
            return ErrorKind::unsupported;
        default:
            return ErrorKind::unavailable;
    }
}

}  // namespace

Error errno_error(std::string code, std::string_view what) {
    const int number = errno;
    return {kind_of_errno(number), std::move(code),
            std::string(what) + ": " + std::generic_category().message(number)};
}

}  // namespace qvd
