#include "client/dialogue.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "client/printable.hpp"

#include <openssl/crypto.h>

#include <chrono>
#include <utility>

namespace qvd::client {
namespace {

using std::chrono::seconds;

// A server that starts a machine says so every few seconds; upstream's clients give up after 600 s.
constexpr seconds time_to_connect{20};
constexpr seconds time_to_list{60};
constexpr seconds time_to_start{600};

std::string authorization(const Login& login) {
    std::string clear = login.user + ":" + std::string(login.password.reveal());
    std::string coded = text::base64_encode(clear);
    OPENSSL_cleanse(clear.data(), clear.size());
    return coded;
}

std::string query_of(std::int64_t id, const Parameters& parameters) {
    std::string query = "?id=" + std::to_string(id);
    for (const auto& [name, value] : parameters)
        if (!value.empty())
            query += "&" + text::percent_encode(name) + "=" + text::percent_encode(value);
    return query;
}

// What the server gave as its reason, or the code's own.
std::string reason_of(const Reply& reply) {
    const std::string said = printable(reply.body);
    return said.empty() ? std::to_string(reply.code) + " " + reply.reason : said;
}

Error error_of(const Reply& reply) {
    const std::string reason = reason_of(reply);
    const std::string code = " (" + std::to_string(reply.code) + ")";
    switch (reply.code) {
        case 401:
            return {ErrorKind::denied, "login.refused",
                    "the server does not accept this user and password"};
        case 404:
            return {ErrorKind::not_found, "vm.unknown", reason};
        case 426:
            return {ErrorKind::unsupported, "server.refused",
                    "the server wants a newer client: " + reason + code};
        case 402:
        case 403:
        case 422:
            return {ErrorKind::denied, "server.refused", reason + code};
        case 408:
        case 429:
        case 502:
        case 503:
        case 504:
            return {ErrorKind::unavailable, "server.unavailable", reason + code};
        default:
            return {ErrorKind::internal, "server.error", "unexpected answer: " + reason + code};
    }
}

}  // namespace

std::string Server::name() const {
    const bool bare_v6 = host.find(':') != std::string::npos;
    return (bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Dialogue::Dialogue(Server server, Login login, SSL_CTX* context, CertificateJudge& judge,
                   int stop_fd)
    : server_(std::move(server)),
      login_(std::move(login)),
      context_(context),
      judge_(judge),
      stop_fd_(stop_fd) {
}

Patience Dialogue::patience_of(Milliseconds time) const {
    return {Deadline::in(clock_, time), stop_fd_};
}

Result<void> Dialogue::ensure_connection() {
    if (connection_) return {};
    const Patience patience = patience_of(time_to_connect);
    QVD_TRY(Connection connection, Connection::open(server_.host, server_.port, patience));
    if (server_.use_tls) {
        QVD_CHECK(connection.start_tls(context_, server_.host, patience));
        QVD_CHECK(judge_.judge(server_.name(), connection.peer()));
    }
    log::debug("connection.open", {{"server", server_.name()}, {"tls", server_.use_tls ? 1 : 0}},
               "connected to the server");
    connection_ = std::move(connection);
    reader_ = ReplyReader{};
    return {};
}

Result<void> Dialogue::send(const std::string& path, bool upgrade) {
    log::debug("request.sent", {{"path", path}}, "asked the server");
    std::string head = "GET " + path + " HTTP/1.1\r\nHost: " + server_.name() +
                       "\r\nUser-Agent: qvdclient\r\nAuthorization: Basic " +
                       authorization(login_) + "\r\n";
    if (upgrade) head += "Connection: Upgrade\r\nUpgrade: QVD/1.0\r\n";
    head += "\r\n";
    Result<void> sent = connection_->write(head, patience_of(time_to_connect));
    OPENSSL_cleanse(head.data(), head.size());
    return sent;
}

Result<Reply> Dialogue::read_reply(const Patience& patience) {
    for (;;) {
        QVD_TRY(std::optional<Reply> reply, reader_.next());
        if (reply) return *std::move(reply);
        QVD_TRY(const std::string bytes, connection_->read(patience));
        if (bytes.empty()) return reader_.finish();
        reader_.feed(bytes);
    }
}

Result<Reply> Dialogue::final_reply(const Patience& patience, const Progress& progress) {
    for (;;) {
        QVD_TRY(Reply reply, read_reply(patience));
        log::debug("reply.received", {{"code", reply.code}}, reply.reason);
        if (reply.code == 101 || reply.code >= 200) return reply;
        const std::string text = printable(reply.header("x-qvd-vm-info"));
        if (!text.empty() && progress) progress(text);
    }
}

Result<Reply> Dialogue::request(const std::string& path, bool upgrade, Milliseconds time,
                                const Progress& progress) {
    QVD_CHECK(ensure_connection());
    Result<void> sent = send(path, upgrade);
    Result<Reply> reply = sent.ok() ? final_reply(patience_of(time), progress)
                                    : Result<Reply>(std::move(sent).error());
    if (!reply.ok()) {
        connection_.reset();
        return std::move(reply).error().within(server_.name());
    }
    if (reply->code != 101 && reply->closes()) connection_.reset();
    return reply;
}

Result<std::vector<OfferedVm>> Dialogue::list_vms() {
    QVD_TRY(const Reply reply, request("/qvd/list_of_vm", false, time_to_list, {}));
    if (reply.code != 200) return error_of(reply);
    return parse_vm_list(reply.body);
}

Result<void> Dialogue::stop_vm(std::int64_t id, const Progress& progress) {
    QVD_TRY(const Reply reply,
            request("/qvd/stop_vm" + query_of(id, {}), false, time_to_start, progress));
    if (reply.code != 200) return error_of(reply);
    return {};
}

Result<Session> Dialogue::connect_to_vm(std::int64_t id, const Parameters& parameters,
                                        const Progress& progress) {
    QVD_TRY(const Reply reply, request("/qvd/connect_to_vm" + query_of(id, parameters), true,
                                       time_to_start, progress));
    if (reply.code != 101) return error_of(reply);
    Session session{*std::move(connection_), reader_.take_rest()};
    connection_.reset();
    return session;
}

}  // namespace qvd::client
