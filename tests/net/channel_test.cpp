// A broker's end of a wire.
#include "net/frame_channel.hpp"
#include "net/role_link.hpp"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::net;

namespace {

struct Wire {
    boost::asio::io_context loop;
    std::pair<UniqueFd, UniqueFd> ends = std::move(role_sockets()).value();  // as small
    std::shared_ptr<FrameChannel> channel =
        std::make_shared<FrameChannel>(loop.get_executor(), std::move(ends.first));

    Frame next() {
        loop.poll();  // writes what had to wait
        return receive_frame(ends.second.get()).value();
    }
};

}  // namespace

TEST_CASE("an answer that is longer than a frame arrives whole, its head last") {
    Wire wire;
    Reply reply;
    reply.request = 7;
    reply.status = 200;
    for (int i = 0; reply.body.size() < 1'000'000; ++i) reply.body += std::to_string(i) + ",";
    wire.channel->send(reply);
    std::string body;
    for (;;) {
        Frame frame = wire.next();
        if (const auto* piece = std::get_if<Body>(&frame)) {
            CHECK(piece->request == 7);
            body += piece->bytes;
            continue;
        }
        const auto last = std::get<Reply>(std::move(frame));
        CHECK(last.status == 200);
        CHECK(body + last.body == reply.body);
        break;
    }
}

TEST_CASE("the longest frame goes through a socket that nobody has made larger") {
    Wire wire;
    Configure configure;
    configure.client_ca.assign(max_tls_material_bytes, 'x');
    wire.channel->send(configure);
    CHECK(std::get<Configure>(wire.next()).client_ca.size() == max_tls_material_bytes);
    CHECK(wire.channel->is_open());
}

TEST_CASE("an answer beyond every bound becomes one that says so") {
    Wire wire;
    Reply reply;
    reply.request = 8;
    reply.status = 200;
    SUBCASE("its body") {
        reply.body.resize(max_body_bytes + 1);
    }
    SUBCASE("its head") {
        reply.headers = {{"X", std::string(max_frame_bytes, 'x')}};
    }
    wire.channel->send(reply);
    const auto said = std::get<Reply>(wire.next());
    CHECK(said.request == 8);
    CHECK(said.status == 500);
    CHECK(said.body == "The answer is too long to be sent\r\n");
    CHECK(said.upgrade_failed);
}
