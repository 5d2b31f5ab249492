// The control protocol from the outside: one request, then one document or one stream. The same for
// the node's own control socket and, as an operator, for /qvd/admin of any node.
#pragma once

#include "client/connection.hpp"
#include "client/judge.hpp"
#include "client/reply.hpp"
#include "config/view.hpp"
#include "net/control.hpp"

#include <optional>
#include <string>

namespace qvd::admin {

// A node that is reached over its L7R port.
struct FarNode {
    std::string host;
    int port = 0;
    std::string name;  // of the operator
    Secret password;

    // "host:port", as in a Host header and among the accepted certificates.
    [[nodiscard]] std::string server() const;
};

// A stream that carries bytes from now on.
struct NodeStream {
    client::Connection connection;
    std::string first_bytes;  // already read
};

// Of the node that this machine is, if it is one.
std::string control_socket_path(const config::View& view);

// Errors of every request: network.*, certificate.*, stopped, server.protocol, and what the node
// refuses, under its own code and with its own sentence; without a code "node.refused".
class NodeChannel {
public:
    // To the control socket at `path`.
    NodeChannel(std::string path, int stop_fd);
    // To `node`, whose certificate `judge` looks at; `context` and `judge` outlive the channel.
    NodeChannel(FarNode node, SSL_CTX* context, client::CertificateJudge& judge, int stop_fd);

    // The document at a target of the control protocol ("/v1/vms").
    Result<std::string> document(const std::string& target);
    // The stream there ("/v1/vm/7/console").
    Result<NodeStream> stream(const std::string& target);

private:
    [[nodiscard]] client::Patience patience() const;
    Result<client::Connection> connect();
    [[nodiscard]] Secret head_of(const std::string& target) const;
    Result<client::Reply> ask(client::Connection& connection, client::ReplyReader& reader,
                              const std::string& target);

    SteadyClock clock_;
    std::string path_;            // of a local one
    std::optional<FarNode> far_;  // otherwise
    SSL_CTX* context_ = nullptr;
    client::CertificateJudge* judge_ = nullptr;
    int stop_fd_;
};

// What an answer that is no success says.
Error error_of(const client::Reply& reply);

}  // namespace qvd::admin
