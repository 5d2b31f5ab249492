#include "hkd/stream_pair.hpp"

#include "hkd/spawn.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>

#include <array>
#include <memory>

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

constexpr auto as_pair = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t piece_bytes = 16384;

struct StreamPair {
    AnySocket client;
    AnySocket vm;

    void close() {
        boost::system::error_code ignored;
        client.close(ignored);
        vm.close(ignored);
    }
};

int family_of(int socket) {
    int family = AF_UNIX;
    socklen_t length = sizeof family;
    ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &length);
    return family;
}

// False: a side broke.
asio::awaitable<bool> carry_some(AnySocket& from, AnySocket& to) {
    const auto piece = std::make_unique<std::array<char, piece_bytes>>();
    for (;;) {
        const auto [ended, got] = co_await from.async_read_some(asio::buffer(*piece), as_pair);
        if (ended == asio::error::eof) co_return true;
        if (ended) co_return false;
        const auto [broken, put] =
            co_await asio::async_write(to, asio::buffer(piece->data(), got), as_pair);
        if (broken) co_return false;
    }
}

asio::awaitable<void> carry(std::shared_ptr<StreamPair> pair, bool up) {
    AnySocket& to = up ? pair->vm : pair->client;
    const bool orderly = co_await carry_some(up ? pair->client : pair->vm, to);
    // A VM's end is the end of all; a client may still want to hear what comes.
    if (!orderly || !up) co_return pair->close();
    boost::system::error_code ignored;
    to.shutdown(AnySocket::shutdown_send, ignored);
}

}  // namespace

void carry_between(const asio::any_io_executor& executor, AnySocket client, UniqueFd vm) {
    const int family = family_of(vm.get());
    AnySocket other(executor, asio::generic::stream_protocol(family, 0), vm.release());
    const auto pair = std::make_shared<StreamPair>(StreamPair{std::move(client), std::move(other)});
    spawn(executor, carry(pair, true), pair);
    spawn(executor, carry(pair, false), pair);
}

}  // namespace qvd::hkd
