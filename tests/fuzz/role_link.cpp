// Any packet on the supervisor's control sockets is a message or an error, as an order and as a
// report; one that was read can be written and read again.
#include "net/role_link.hpp"

#include "tests/fuzz/target.hpp"

#include <fcntl.h>

#include <cstdlib>

namespace {

using qvd::UniqueFd;
using namespace qvd::net;

void refused_properly(const qvd::Error& error) {
    if (error.code() != "role_link.malformed") std::abort();
}

UniqueFd some_descriptor() {
    return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

// An order has a descriptor with it or not; no packet is good in both cases.
void as_order(std::string_view bytes) {
    bool good = false;
    for (const bool with : {false, true}) {
        const auto order = decode_order(bytes, with ? some_descriptor() : UniqueFd());
        if (!order.ok()) {
            refused_properly(order.error());
            continue;
        }
        if (good) std::abort();
        good = true;
        const std::string packet = encode_order(order.value());
        const auto again = decode_order(packet, with ? some_descriptor() : UniqueFd());
        if (!again.ok() || encode_order(again.value()) != packet) std::abort();
    }
}

void as_report(std::string_view bytes) {
    const auto report = decode_report(bytes);
    if (!report.ok()) {
        refused_properly(report.error());
        return;
    }
    const std::string packet = encode_report(report.value());
    const auto again = decode_report(packet);
    if (!again.ok() || encode_report(again.value()) != packet) std::abort();
}

}  // namespace

int qvd_fuzz_one(std::string_view bytes) {
    as_order(bytes);
    as_report(bytes);
    return 0;
}
