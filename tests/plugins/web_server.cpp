#include "tests/plugins/web_server.hpp"

#include "tests/plugins/parts.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace qvd::test {

std::string fetch_once(const std::string& address, const std::string& name) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(8080);
    ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    (void)::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    pollfd writable{fd, POLLOUT, 0};
    std::string answer;
    const std::string request = "GET /" + name + " HTTP/1.0\r\n\r\n";
    if (::poll(&writable, 1, 300) == 1 && (writable.revents & POLLERR) == 0 &&
        ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
        pollfd readable{fd, POLLIN, 0};
        char bytes[4096];
        for (ssize_t n = 0;
             ::poll(&readable, 1, 2000) == 1 && (n = ::recv(fd, bytes, sizeof bytes, 0)) > 0;)
            answer.append(bytes, static_cast<std::size_t>(n));
    }
    ::close(fd);
    const std::size_t body = answer.find("\r\n\r\n");
    return answer.compare(0, 7, "HTTP/1.") == 0 && answer.compare(8, 4, " 200") == 0
               ? answer.substr(body + 4)
               : std::string();
}

std::string fetch(const std::string& address, const std::string& name,
                  std::chrono::milliseconds patience) {
    std::string body;
    eventually([&] { return !(body = fetch_once(address, name)).empty(); }, patience);
    return body;
}

}  // namespace qvd::test
