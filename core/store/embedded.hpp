// The embedded database: a private PostgreSQL cluster of one machine, run by a user of its own,
// reachable through one Unix socket by the users that its map names, and by nobody else.
//
// It outlives whoever started it. Several programs may start it at once: one does, the others wait.
#pragma once

#include "base/result.hpp"
#include "config/view.hpp"

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace qvd::store {

// The embedded cluster's roles: qvd_db is its superuser, the others are what deploy() grants to.
inline constexpr const char* embedded_superuser = "qvd_db";

struct EmbeddedPlace {
    std::string data;                // path.database
    std::string sockets;             // path.run/database; at most 80 bytes
    std::string log;                 // path.log/qvd-database.log
    std::string database = "qvd";    // database.name
    std::string os_user = "qvd-db";  // runs the server
    // Which OS user may be which role, besides root (qvd_owner and qvd_hkd), qvd-broker
    // (qvd_broker) and the server's own user (qvd_db). For tests.
    struct Peer {
        std::string os_user;
        std::string role;
    };
    std::vector<Peer> more_peers;
    bool durable = true;  // false in tests: a power failure may take the data
};

// Where this node has its embedded database; nothing if database.host names servers instead.
std::optional<EmbeddedPlace> embedded_place(const config::View& view);

class EmbeddedCluster {
public:
    explicit EmbeddedCluster(EmbeddedPlace place);

    // Makes the cluster if there is none, and starts it if it does not run; without effect if it
    // answers already; otherwise needs root. Blocks the calling thread, at most `patience` (making
    // one takes about 2 s, recovery after a crash a few): an event loop calls it in a child process
    // or a thread. The server is a process of its own session afterwards, and not the caller's
    // child. Errors: database.user (the OS user is missing), database.server (no server is
    // installed, or of another major version), database.start (it does not come up; the end of its
    // log is in the sentence), database.path, database.busy (somebody else is at it for all of
    // `patience`).
    Result<void> ensure_running(std::chrono::milliseconds patience = std::chrono::seconds(120));

    // Ends it, sessions included; no error if it does not run. Blocks. Errors: database.stop.
    Result<void> stop(std::chrono::milliseconds patience = std::chrono::seconds(60));

    struct Status {
        enum class State { absent, stopped, running } state = State::absent;
        pid_t pid = 0;         // of the running postmaster
        std::string version;   // major version of the files, "15"
        std::string sentence;  // for people
    };
    // Asks the socket and looks at the files; needs no rights.
    [[nodiscard]] Status status() const;
    // Whether its postmaster lives, as status() says without asking it: cheap. Needs its user's
    // rights, or root's.
    [[nodiscard]] bool is_there() const;

    [[nodiscard]] const EmbeddedPlace& place() const { return place_; }

private:
    EmbeddedPlace place_;
};

}  // namespace qvd::store
