#include "admin/node_channel.hpp"

#include "base/text.hpp"
#include "client/printable.hpp"
#include "config/keys.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <openssl/crypto.h>

#include <utility>

namespace qvd::admin {

namespace {

// A node's own limit for what it asks hkd, and some more.
constexpr Milliseconds patience_with_node{40'000};

std::string basic(const FarNode& node) {
    std::string pair = node.name + ":" + std::string(node.password.reveal());
    std::string encoded = text::base64_encode(pair);
    OPENSSL_cleanse(pair.data(), pair.size());
    return encoded;
}

ErrorKind kind_of(int status) {
    switch (status) {
        case 400:
        case 422:
            return ErrorKind::invalid;
        case 401:
        case 403:
        case 429:
            return ErrorKind::denied;
        case 404:
            return ErrorKind::not_found;
        case 409:
            return ErrorKind::conflict;
        case 405:
        case 426:
        case 501:
            return ErrorKind::unsupported;
        case 408:
        case 504:
            return ErrorKind::timeout;
        default:
            return ErrorKind::unavailable;
    }
}

// hkd's refusals are documents, the broker's and the worker's are sentences.
std::string sentence_of(const client::Reply& reply) {
    boost::system::error_code broken;
    const auto value = boost::json::parse(reply.body, broken);
    if (!broken && value.is_object())
        if (const auto* const message = value.get_object().if_contains("message");
            message != nullptr && message->is_string())
            return client::printable({message->get_string().data(), message->get_string().size()});
    const std::string said = client::printable(reply.body);
    return said.empty() ? "the node answers " + std::to_string(reply.code) : said;
}

}  // namespace

std::string FarNode::server() const {
    const bool six = host.find(':') != std::string::npos;
    return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Error error_of(const client::Reply& reply) {
    const std::string code = client::printable(reply.header("x-qvd-error"), 64);
    return {kind_of(reply.code), code.empty() ? "node.refused" : code, sentence_of(reply)};
}

std::string control_socket_path(const config::View& view) {
    return view.get(config::path_run) + "/control.sock";
}

NodeChannel::NodeChannel(std::string path, int stop_fd)
    : path_(std::move(path)), stop_fd_(stop_fd) {
}

NodeChannel::NodeChannel(FarNode node, SSL_CTX* context, client::CertificateJudge& judge,
                         int stop_fd)
    : far_(std::move(node)), context_(context), judge_(&judge), stop_fd_(stop_fd) {
}

client::Patience NodeChannel::patience() const {
    return {Deadline::in(clock_, patience_with_node), stop_fd_};
}

Result<client::Connection> NodeChannel::connect() {
    if (!far_) {
        auto local = client::Connection::open_local(path_);
        if (local.ok()) return local;
        return Error{ErrorKind::unavailable, "node.no_control",
                     local.error().sentence() +
                         ": does qvd-node run here, and are you root or of the group qvd-admin? "
                         "Otherwise give --node"};
    }
    const client::Patience patience = this->patience();
    QVD_TRY(auto connection, client::Connection::open(far_->host, far_->port, patience));
    QVD_CHECK(connection.start_tls(context_, far_->host, patience));
    // Nothing is said before it is known to whom.
    QVD_CHECK(judge_->judge(far_->server(), connection.peer()));
    return connection;
}

Secret NodeChannel::head_of(const std::string& target) const {
    const std::string upgrade =
        "Connection: Upgrade\r\nUpgrade: " + std::string(net::control_protocol) + "\r\n";
    if (!far_) return Secret{"GET " + target + " HTTP/1.1\r\nHost: node\r\n" + upgrade + "\r\n"};
    return Secret{"GET " + std::string(net::admin_path) + target +
                  " HTTP/1.1\r\nHost: " + far_->server() + "\r\nUser-Agent: qa\r\n" + upgrade +
                  "Authorization: Basic " + basic(*far_) + "\r\n\r\n"};
}

Result<client::Reply> NodeChannel::ask(client::Connection& connection, client::ReplyReader& reader,
                                       const std::string& target) {
    const client::Patience patience = this->patience();
    const Secret head = head_of(target);
    QVD_CHECK(connection.write(head.reveal(), patience));
    for (;;) {
        QVD_TRY(std::optional<client::Reply> reply, reader.next());
        if (reply && reply->code != 102) return *std::move(reply);
        if (reply) continue;
        QVD_TRY(const std::string bytes, connection.read(patience));
        if (bytes.empty()) return reader.finish();
        reader.feed(bytes);
    }
}

Result<std::string> NodeChannel::document(const std::string& target) {
    QVD_TRY(auto connection, connect());
    client::ReplyReader reader;
    QVD_TRY(client::Reply reply, ask(connection, reader, target));
    if (reply.code != 200) return error_of(reply);
    return std::move(reply.body);
}

Result<NodeStream> NodeChannel::stream(const std::string& target) {
    QVD_TRY(auto connection, connect());
    client::ReplyReader reader;
    QVD_TRY(const client::Reply reply, ask(connection, reader, target));
    if (reply.code != 101) return error_of(reply);
    return NodeStream{std::move(connection), reader.take_rest()};
}

}  // namespace qvd::admin
