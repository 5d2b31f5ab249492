// What can go wrong in the world, as a value: a kind for the program, a stable code for scripts and
// tests, and one sentence for the person who must act. Broken invariants are exceptions instead.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace qvd {

// Which way a failure went; decides an HTTP status, a `qa` exit code or whether to try again.
enum class ErrorKind {
    invalid,      // the request or the configuration is wrong: repeating it will not help
    not_found,    // what was named does not exist
    denied,       // it exists, but not for this caller, or it is locked or blocked
    conflict,     // somebody else changed it first, or its state forbids the operation
    unavailable,  // worth trying again later: a server is down, no node has room
    timeout,      // the deadline passed
    cancelled,    // the caller went away, or the node is stopping
    unsupported,  // this part does not do that
    internal,     // a bug of ours or of a plugin
};

std::string_view to_string(ErrorKind kind);

class Error {
public:
    // `code` is dotted, lower case and never changes once released, e.g. "vm.blocked".
    Error(ErrorKind kind, std::string code, std::string sentence)
        : kind_(kind), code_(std::move(code)), sentence_(std::move(sentence)) {}

    [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
    [[nodiscard]] const std::string& code() const noexcept { return code_; }
    [[nodiscard]] const std::string& sentence() const noexcept { return sentence_; }

    // The same failure with what was being done in front: "node.conf:14: ...".
    [[nodiscard]] Error within(std::string_view context) const {
        return {kind_, code_, std::string(context) + ": " + sentence_};
    }

private:
    ErrorKind kind_;
    std::string code_;
    std::string sentence_;
};

// An Error of the calling thread's errno: "cannot open /x: Permission denied".
Error errno_error(std::string code, std::string_view what);

}  // namespace qvd
