#include "client/resolve.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

namespace qvd::client {
namespace {

// Shared with the thread that asks, which may outlive the caller's patience.
struct Question {
    std::string host;
    std::string port;
    UniqueFd done;
    int failure = 0;
    std::vector<Address> addresses;
    std::atomic<bool> answered{false};  // set after the two above
};

void answer(Question& question) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    question.failure = ::getaddrinfo(question.host.c_str(), question.port.c_str(), &hints, &list);
    // AI_ADDRCONFIG does not count the loopback: a machine without network still has it.
    if (question.failure != 0) {
        hints.ai_flags = 0;
        question.failure =
            ::getaddrinfo(question.host.c_str(), question.port.c_str(), &hints, &list);
    }
    for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
        Address address;
        std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
        address.size = item->ai_addrlen;
        question.addresses.push_back(address);
    }
    if (list != nullptr) ::freeaddrinfo(list);
    question.answered.store(true, std::memory_order_release);
    ::eventfd_write(question.done.get(), 1);
}

}  // namespace

Result<std::vector<Address>> resolve(const std::string& host, int port, const Patience& patience) {
    auto question = std::make_shared<Question>();
    question->host = host;
    question->port = std::to_string(port);
    question->done.reset(::eventfd(0, EFD_CLOEXEC));
    if (!question->done) return errno_error("internal.eventfd", "cannot look up " + host);
    std::thread([question] { answer(*question); }).detach();
    QVD_CHECK(wait_for(question->done.get(), POLLIN, patience));
    if (!question->answered.load(std::memory_order_acquire))
        return Error{ErrorKind::internal, "internal.eventfd", "cannot look up " + host};
    if (question->failure != 0 || question->addresses.empty())
        return Error{ErrorKind::not_found, "network.unknown_host",
                     "there is no host \"" + host + "\": " + ::gai_strerror(question->failure)};
    return question->addresses;
}

}  // namespace qvd::client
