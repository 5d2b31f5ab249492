// Any text is a request of the control protocol, whose path means it again, or an error.
#include "net/control.hpp"
#include "tests/fuzz/target.hpp"

#include <cstdlib>

int qvd_fuzz_one(std::string_view bytes) {
    const auto request = qvd::net::parse_control_target(bytes);
    if (!request.ok()) {
        const std::string& code = request.error().code();
        if (code != "control.target" && code != "control.query") std::abort();
        return 0;
    }
    if (request->parameters.size() > 16) std::abort();
    for (const auto& [name, value] : request->parameters)
        if (name.empty() || name.size() > 256 || value.size() > 256) std::abort();
    const auto again =
        qvd::net::parse_control_target(qvd::net::control_target(request->verb, request->vm));
    if (!again.ok() || again->verb != request->verb || again->vm != request->vm) std::abort();
    return 0;
}
