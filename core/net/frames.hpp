// What an l7r worker, the broker and hkd say to each other over SOCK_SEQPACKET socketpairs: one
// message a packet, binary, bounded. Either side may be taken over by an attacker (the worker
// parses foreign bytes), so decode() believes nothing: any malformed packet is an Error, and its
// reader drops the link.
//
// A worker knows nothing when it starts. The broker's first frame is Configure; then the worker
// listens, and sends one Request for each request head that it has read.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qvd::net {

constexpr std::size_t max_frame_bytes = std::size_t{256} * 1024;
// What the PEM texts of a Configure may have together, so that it is a frame with all the rest.
constexpr std::size_t max_tls_material_bytes = max_frame_bytes - std::size_t{16} * 1024;
constexpr std::size_t max_owner_bytes = 128;
// Of an answer's body, however many frames it takes.
constexpr std::size_t max_body_bytes = std::size_t{4} * 1024 * 1024;

using Headers = std::vector<std::pair<std::string, std::string>>;

// ---- broker → worker -----------------------------------------------------------------------

// Limits and TLS material; again whenever one of them changes (reloaded live).
struct Configure {
    bool use_tls = true;
    std::string certificate;  // PEM chain
    Secret key;               // PEM
    std::string client_ca;    // PEM; with require_client_certificate
    std::string client_crl;   // PEM; may be empty
    bool require_client_certificate = false;
    std::string ciphers;  // l7r.ssl.options.SSL_cipher_list
    std::uint32_t max_head_bytes = 16384;
    std::uint32_t first_byte_ms = 10000;  // to the ClientHello, or to the first byte without TLS
    std::uint32_t head_ms = 10000;        // from the first to the last byte of a head
    std::uint32_t idle_ms = 600000;       // between requests on a kept connection
    std::uint32_t connections = 4096;     // of all workers together
    std::uint32_t connections_per_address = 64;
    std::uint32_t connect_ms = 5000;  // to the VM, retries included
    // How long a person may look at an unknown certificate: from the ClientHello to the first byte.
    std::uint32_t question_ms = 60000;
    // Random, the same for all workers of a broker: session tickets of one are good at the others.
    Secret ticket_secret;
    // How long a relay of which one side has ended may be silent before the other side is ended
    // too.
    std::uint32_t half_close_ms = 10000;
    // How long the broker may say nothing about a request before the client hears 504; longer than
    // whatever it may wait for itself.
    std::uint32_t answer_ms = 1'200'000;
    // How many workers the broker has. Of several, each says how many connections it holds.
    std::uint32_t workers = 1;
};
inline std::size_t tls_material_bytes(const Configure& configure) {
    return configure.certificate.size() + configure.key.reveal().size() +
           configure.client_ca.size() + configure.client_crl.size();
}

// One more "102 Processing" with X-QVD-VM-Info: `text`. The worker decides when it is written, so
// that the last ones leave in one record with the 101 (protocol A3, the 1 Hz trap).
struct Progress {
    std::uint64_t request = 0;
    std::string text;
};

// The answer; the worker adds Content-Length. With `upgrade_failed` head and body are written as
// two records and the connection is closed (protocol A3).
struct Reply {
    std::uint64_t request = 0;
    std::uint16_t status = 500;
    Headers headers;
    std::string body;
    bool upgrade_failed = false;
    bool close = false;
};

// The beginning of a body that is too long for one frame: the Reply brings the end.
struct Body {
    std::uint64_t request = 0;
    std::string bytes;
};

// Connect to the VM's NX port, but send nothing to the client yet; answered by Linked or
// LinkFailed.
struct Link {
    std::uint64_t request = 0;
    std::string address;
    std::uint16_t port = 0;
};

// Write the 101 and relay until either side ends; answered by Ended.
struct Switch {
    std::uint64_t request = 0;
    Secret slave_key;
    std::string protocol = {};  // names itself in the 101's Upgrade; empty: QVD's own
    // Whose relay it is, in words of brokers: kept for the next one (Hello::owners). At most
    // max_owner_bytes; empty: a session, whose row says it.
    std::string owner = {};
};

// End this request now: close its relay (take-over), or drop it unanswered.
struct Abort {
    std::uint64_t request = 0;
};

// ---- worker → broker -----------------------------------------------------------------------

// First frame of a worker, and again when another broker of its own has gone: who it is, and which
// relays it still holds.
struct Hello {
    std::string worker;                 // its instance id
    std::vector<std::uint64_t> relays;  // requests whose relay runs
    // Requests that an earlier broker, which is still there, looks after: relays or not.
    std::vector<std::uint64_t> elsewhere = {};
    bool more = false;    // another one follows at once, with the rest
    Headers owners = {};  // of its `relays`: request, and Switch::owner where there was one
};

struct Request {
    std::uint64_t request = 0;     // never used twice by this worker
    std::uint64_t connection = 0;  // requests of one kept connection share it
    std::string client_address;
    std::string method;
    std::string target;  // as sent: path and query, undecoded
    Headers headers;     // names as sent
    bool client_certificate = false;
    bool tls = false;
};

struct Gone {  // the client left before its answer
    std::uint64_t request = 0;
};

struct ConnectionClosed {  // forget what was kept for it (the identity of protocol A4)
    std::uint64_t connection = 0;
};

struct Linked {
    std::uint64_t request = 0;
};

struct LinkFailed {
    std::uint64_t request = 0;
    std::string sentence;
};

struct Ended {  // a relay is over
    std::uint64_t request = 0;
    std::uint64_t bytes_down = 0;  // to the client
    std::uint64_t bytes_up = 0;
    std::uint64_t milliseconds = 0;
    std::string reason;  // "client closed", "vm closed", "aborted", "vm vanished", ...
};

// ---- both ways -----------------------------------------------------------------------------

// From a worker: how many connections it holds; from the broker: how many the other workers hold
// together. Of the addresses (as counted_address() has them) those whose number has changed.
struct Connections {
    std::uint32_t in_all = 0;
    std::vector<std::pair<std::string, std::uint32_t>> by_address;
};

// ---- hkd ↔ broker --------------------------------------------------------------------------

// Root parses nothing that an image controls: the broker makes hkd's agent calls.
struct AgentCall {
    std::uint64_t call = 0;
    std::int64_t vm = 0;
    std::int64_t incarnation = 0;
    std::string method;  // ping, hello, poweroff, expire, x_stop, ...
    std::vector<std::pair<std::string, std::string>> parameters;
    std::uint32_t timeout_ms = 3000;
};

struct AgentAnswer {
    enum class Outcome : std::uint8_t { ok, refused, unreachable, timeout, stale };
    std::uint64_t call = 0;
    Outcome outcome = Outcome::unreachable;
    std::string text;  // the agent's value or sentence, printable, at most 1 KiB
};

// ---- broker ↔ hkd, broker → worker ---------------------------------------------------------

// An operator's call of the control protocol (net/control.hpp), broker → hkd. Who he is and whether
// he may has been decided; root gets a verb and a number, never his bytes. Answered by Reply (and
// Body before it) or Attach, with `call` as their request.
struct ControlCall {
    std::uint64_t call = 0;
    std::uint8_t verb = 0;  // ControlVerb; one of a newer build is answered by 501
    std::int64_t vm = 0;
    Headers parameters;
    std::string caller;  // for the log: "ann"
};

// With a descriptor: a connected stream socket. hkd → broker: what a call opened; broker → worker:
// relay this, in place of Link; answered by Linked.
struct Attach {
    std::uint64_t request = 0;
    std::shared_ptr<UniqueFd> socket;  // travels beside the packet; null in one that was decoded
};

// The order is the wire's: new kinds go to the end, and so do new fields of a frame.
using Frame = std::variant<Configure, Progress, Reply, Link, Switch, Abort, Hello, Request, Gone,
                           ConnectionClosed, Linked, LinkFailed, Ended, AgentCall, AgentAnswer,
                           Body, Connections, ControlCall, Attach>;

// The packet of a frame; ErrorKind::invalid "frame.too_long" past max_frame_bytes.
Result<std::string> encode(const Frame& frame);
// Total: every byte string is a frame, an Error "frame.malformed", or, from a newer build,
// unsupported "frame.unknown", which may be skipped. The two sides may be of different builds while
// an upgrade goes on: fields that a frame has not yet are defaults, those beyond ours are ignored.
Result<Frame> decode(std::string_view packet);

// The descriptor that goes with a frame; -1: none.
int descriptor_of(const Frame& frame);

// One packet on a connected SOCK_SEQPACKET socket. An Attach without a descriptor is malformed, and
// so is any other frame with one. unavailable "frame.would_block" if the socket
// is non-blocking and full (empty); cancelled "frame.closed" once the other side has closed.
Result<void> send_frame(int socket, const Frame& frame);
Result<Frame> receive_frame(int socket);

// Two connected SOCK_SEQPACKET sockets, blocking, close-on-exec, with room for the longest frame.
Result<std::pair<UniqueFd, UniqueFd>> frame_sockets();
// A packet must fit into its socket's send buffer, whose default is below max_frame_bytes on most
// kernels: makes room for the longest frame, as far as the process may.
void enlarge(int socket);

}  // namespace qvd::net
