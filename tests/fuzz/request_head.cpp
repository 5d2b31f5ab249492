// Any bytes in any pieces give the same heads; a head that was read can be written and read again.
#include "net/request_head.hpp"

#include "tests/fuzz/target.hpp"

#include <cstdlib>
#include <vector>

namespace {

using qvd::net::HeadReader;
using qvd::net::RequestHead;

constexpr std::size_t limit = 2048;

struct Outcome {
    std::vector<RequestHead> heads;
    int status = 0;
};

// Cut where the bytes themselves say, or not at all.
Outcome read_all(std::string_view bytes, bool cut) {
    Outcome outcome;
    HeadReader reader(limit);
    while (!bytes.empty()) {
        std::size_t length = bytes.size();
        if (cut) length = 1 + static_cast<unsigned char>(bytes.front()) % 7U;
        std::string_view piece = bytes.substr(0, length);
        const std::size_t offered = piece.size();
        const HeadReader::Outcome now = reader.consume(piece);
        bytes.remove_prefix(offered - piece.size());
        if (now == HeadReader::Outcome::refused) {
            outcome.status = reader.status();
            return outcome;
        }
        if (now == HeadReader::Outcome::complete) outcome.heads.push_back(reader.take());
    }
    return outcome;
}

bool same(const RequestHead& a, const RequestHead& b) {
    return a.method == b.method && a.target == b.target && a.headers == b.headers;
}

void check_round_trip(const RequestHead& head) {
    std::string text = head.method + " " + head.target + " HTTP/1.1\r\n";
    for (const auto& [name, value] : head.headers)
        text.append(name).append(": ").append(value).append("\r\n");
    text += "\r\n";
    HeadReader reader(limit * 4);
    std::string_view rest = text;
    if (reader.consume(rest) != HeadReader::Outcome::complete || !rest.empty()) std::abort();
    if (!same(reader.take(), head)) std::abort();
}

}  // namespace

int qvd_fuzz_one(std::string_view bytes) {
    const Outcome whole = read_all(bytes, false);
    const Outcome pieces = read_all(bytes, true);
    if (whole.status != pieces.status || whole.heads.size() != pieces.heads.size()) std::abort();
    for (std::size_t i = 0; i < whole.heads.size(); ++i) {
        if (!same(whole.heads[i], pieces.heads[i])) std::abort();
        check_round_trip(whole.heads[i]);
    }
    return 0;
}
