// Any packet is a frame or an error; a frame that was read can be written and read again.
#include "net/frames.hpp"

#include "tests/fuzz/target.hpp"

#include <cstdlib>

int qvd_fuzz_one(std::string_view bytes) {
    const auto frame = qvd::net::decode(bytes);
    if (!frame.ok()) {
        const std::string& code = frame.error().code();
        if (code != "frame.malformed" && code != "frame.unknown") std::abort();
        return 0;
    }
    const auto packet = qvd::net::encode(frame.value());
    if (!packet.ok()) {
        // A frame of an older build grows by its missing fields.
        if (packet.error().code() != "frame.too_long") std::abort();
        return 0;
    }
    const auto again = qvd::net::decode(packet.value());
    if (!again.ok() || again->index() != frame->index()) std::abort();
    if (qvd::net::encode(again.value()).value() != packet.value()) std::abort();
    return 0;
}
