// The keys of logins and sessions.
#pragma once

#include "config/key.hpp"
#include "net/tls.hpp"

namespace qvd::broker {

using config::Key;
using config::Range;
using Seconds = std::chrono::seconds;

// ---- the client's side (manual 2, behaviour 5.7); handed to the l7r workers --------------------

inline constexpr config::Form cipher_list{"a list of ciphers that OpenSSL has", &net::are_ciphers};

inline constexpr Key<bool> use_ssl{"l7r.use_ssl", "1", "", "whether clients connect by TLS"};
inline constexpr Key<bool> client_certificate_required{
    "l7r.client.cert.require", "0", "",
    "whether a client must show a certificate of the authority given with `qa config ssl ca=`"};
inline constexpr Key<std::string> ciphers{
    "l7r.ssl.options.SSL_cipher_list",
    "HIGH:!aNULL:!eNULL:!EXPORT:!DES:!RC4:!MD5:!PSK:!SRP:!CAMELLIA:!3DES:!kRSA",
    "",
    "the ciphers of TLS 1.2, in OpenSSL's words",
    0,
    {},
    &cipher_list};
inline constexpr Key<config::Bytes> head_limit{
    "l7r.limit.head", "16384", "bytes", "the longest request head", 0, Range{1024, 65536}};
inline constexpr Key<std::chrono::milliseconds> first_byte_timeout{
    "l7r.limit.handshake",
    "10s",
    "milliseconds",
    "how long a client may take to its TLS greeting, or without TLS to its first request",
    0,
    Range{100, 600'000}};
inline constexpr Key<std::chrono::milliseconds> question_timeout{
    "l7r.limit.question",
    "60s",
    "milliseconds",
    "how long a client may take from its TLS greeting to its first request: a person may have to "
    "look at the node's certificate",
    0,
    Range{100, 600'000}};
inline constexpr Key<std::chrono::milliseconds> head_timeout{
    "l7r.limit.head.time",
    "10s",
    "milliseconds",
    "how long a request head may take from its first to its last byte",
    0,
    Range{100, 600'000}};
inline constexpr Key<std::chrono::milliseconds> idle_timeout{
    "l7r.limit.idle",
    "600s",
    "milliseconds",
    "how long a connection may wait for its next request",
    0,
    Range{1000, 86'400'000}};
inline constexpr Key<std::int64_t> connection_limit{
    "l7r.limit.connections",
    "4096",
    "",
    "connections of this node; its l7r processes tell each other five times a second how many they "
    "hold",
    0,
    Range{1, 1'000'000}};
inline constexpr Key<std::int64_t> connection_limit_per_address{
    "l7r.limit.connections.address",
    "256",
    "",
    "connections of one client address (IPv6: of its /64 network) to this node, counted in the "
    "same way",
    0,
    Range{1, 1'000'000}};
inline constexpr Key<std::int64_t> failed_login_limit{
    "l7r.limit.failed_logins",
    "20",
    "",
    "failed logins of one address (IPv6: its /64) within a minute before it is refused for the "
    "rest of "
    "it",
    0,
    Range{1, 1'000'000}};

inline constexpr Key<std::chrono::milliseconds> half_close_timeout{
    "l7r.limit.half_close",
    "10s",
    "milliseconds",
    "how long a session of which one side has ended may be silent before the other side is ended",
    0,
    Range{100, 600'000}};

// ---- time-outs ---------------------------------------------------------------------------------

inline constexpr Key<Seconds> takeover_timeout{
    "internal.l7r.timeout.takeover",
    "30",
    "seconds",
    "how long the client who holds a VM may take to let go",
    config::internal,
    Range{1, 600}};
inline constexpr Key<Seconds> vm_start_timeout{"internal.l7r.timeout.vm_start",
                                               "270",
                                               "seconds",
                                               "how long a client waits for his VM",
                                               config::internal,
                                               Range{1, 3600}};
inline constexpr Key<Seconds> vm_stop_timeout{"internal.l7r.timeout.vm_stop",
                                              "270",
                                              "seconds",
                                              "how long a client waits for his VM to stop",
                                              config::internal,
                                              Range{1, 3600}};
inline constexpr Key<Seconds> x_start_timeout{"internal.l7r.timeout.x_start",
                                              "10",
                                              "seconds",
                                              "how long the desktop session may take to listen",
                                              config::internal,
                                              Range{1, 600}};
inline constexpr Key<std::int64_t> x_start_retries{
    "internal.l7r.retry.x_start",
    "20",
    "",
    "how often a session that is still held is asked for again, once a second",
    config::internal,
    Range{0, 1000}};
inline constexpr Key<std::chrono::milliseconds> screen_timeout{
    "internal.l7r.timeout.connect",
    "5s",
    "milliseconds",
    "how long connecting to a VM's screen may take, repeated attempts included",
    config::internal,
    Range{100, 600'000}};
inline constexpr Key<Seconds> agent_timeout{
    "internal.l7r.timeout.vma", "4",          "seconds", "how long one call to an agent may take",
    config::internal,           Range{1, 120}};
inline constexpr Key<Seconds> short_session{
    "internal.l7r.short_session",
    "120",
    "seconds",
    "a session that ends sooner counts as short (qa host counters)",
    config::internal,
    Range{0, 86400}};

inline constexpr Key<std::chrono::milliseconds> stranded_delay{
    "internal.l7r.stranded.delay",
    "10s",
    "milliseconds",
    "how often starts and other orders are looked for whose node died before it did them",
    config::internal,
    Range{10, 600'000}};

inline void declare(config::KeySet& keys) {
    keys.add(use_ssl, client_certificate_required, ciphers, head_limit, first_byte_timeout,
             head_timeout, idle_timeout, connection_limit, connection_limit_per_address,
             failed_login_limit, question_timeout, half_close_timeout);
    keys.add(takeover_timeout, vm_start_timeout, vm_stop_timeout, x_start_timeout, x_start_retries,
             screen_timeout, agent_timeout, short_session, stranded_delay);
}

}  // namespace qvd::broker
