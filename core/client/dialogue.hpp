// The requests that a client makes, on one keep-alive connection (opened anew if the server closes
// it), and the server's answers as values and errors.
#pragma once

#include "base/secret.hpp"
#include "client/connection.hpp"
#include "client/judge.hpp"
#include "client/reply.hpp"
#include "client/vm_list.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qvd::client {

struct Server {
    std::string host;
    int port = 0;
    bool use_tls = true;

    // "host:port", as in a Host header and in accepted_certs.json.
    [[nodiscard]] std::string name() const;
};

struct Login {
    std::string user;
    Secret password;
};

// The session's parameters, `qvd.client.*`; empty values are not sent.
using Parameters = std::map<std::string, std::string>;
// Told each time the server says what it is doing.
using Progress = std::function<void(const std::string& text)>;

// What connect_to_vm leaves: the connection carries NX from now on.
struct Session {
    Connection connection;
    std::string first_bytes;  // of NX, already read
};

// Errors of every call: network.*, certificate.*, login.refused (401), vm.unknown (404),
// server.refused, server.unavailable, server.protocol, stopped.
class Dialogue {
public:
    // `context` is not needed without TLS; all must outlive the dialogue.
    Dialogue(Server server, Login login, SSL_CTX* context, CertificateJudge& judge, int stop_fd);

    Result<std::vector<OfferedVm>> list_vms();
    Result<void> stop_vm(std::int64_t id, const Progress& progress);
    // Ends the dialogue: the connection is the session's.
    Result<Session> connect_to_vm(std::int64_t id, const Parameters& parameters,
                                  const Progress& progress);

private:
    [[nodiscard]] Patience patience_of(Milliseconds time) const;
    Result<void> ensure_connection();
    Result<void> send(const std::string& path, bool upgrade);
    // The reply to `path`; 102s go to `progress`.
    Result<Reply> request(const std::string& path, bool upgrade, Milliseconds time,
                          const Progress& progress);
    Result<Reply> final_reply(const Patience& patience, const Progress& progress);
    Result<Reply> read_reply(const Patience& patience);

    SteadyClock clock_;
    Server server_;
    Login login_;
    SSL_CTX* context_;
    CertificateJudge& judge_;
    int stop_fd_;
    std::optional<Connection> connection_;
    ReplyReader reader_;
};

}  // namespace qvd::client
