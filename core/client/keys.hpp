// The keys of client.conf.
#pragma once

#include "config/key.hpp"

namespace qvd::client {

inline constexpr const char* default_client_file = "/etc/qvd/client.conf";

inline constexpr config::Key<std::string> host_name{
    "client.host.name", "", "", "the server, `host` or `host:port`", config::file_only};
inline constexpr config::Key<std::int64_t> host_port{
    "client.host.port",     "8443", "", "the server's port", config::file_only,
    config::Range{1, 65535}};
inline constexpr config::Key<std::string> user_name{"client.user.name", "", "", "the login",
                                                    config::file_only};
inline constexpr config::Key<std::string> link{
    "client.link", "adsl", "",
    "modem, isdn, adsl, wan, lan, local, or a bandwidth such as 56k, 1m or 100m",
    config::file_only};
inline constexpr config::Key<std::string> geometry{
    "client.geometry", "", "", "the desktop's size, 1024x768; empty: that of the screen",
    config::file_only};
inline constexpr config::Key<bool> fullscreen{
    "client.fullscreen", "0", "", "without border, over the whole screen", config::file_only};
inline constexpr config::Key<std::string> nxproxy_extra_args{
    "client.nxproxy.extra_args", "", "", "more arguments for nxproxy, separated by blanks",
    config::file_only};
inline constexpr config::Key<std::string> nxagent_extra_args{
    "client.nxagent.extra_args", "", "", "more NX options for the server's end of the display",
    config::file_only};
inline constexpr config::Key<std::string> command_nxproxy{
    "command.nxproxy", "nxproxy", "", "the program that draws the desktop; looked up in PATH",
    config::file_only};

inline constexpr config::Key<bool> use_ssl{
    "client.use_ssl", "1", "", "0: everything, the password too, goes over the network in clear",
    config::file_only};
inline constexpr config::Key<bool> ssl_use_cert{"client.ssl.use_cert", "0", "",
                                                "show the server a certificate of the client's own",
                                                config::file_only};
inline constexpr config::Key<config::Path> ssl_cert_file{
    "client.ssl.cert_file", "", "", "the client's own certificate and chain, PEM",
    config::file_only};
inline constexpr config::Key<config::Path> ssl_key_file{"client.ssl.key_file", "", "",
                                                        "its key, PEM", config::file_only};
inline constexpr config::Key<bool> allow_bad_host{
    "client.ssl.allow_bad_host", "1", "",
    "the user may accept a certificate that is for another host", config::file_only};
inline constexpr config::Key<bool> allow_untrusted{
    "client.ssl.allow_untrusted", "1", "",
    "the user may accept a certificate of an unknown authority", config::file_only};
inline constexpr config::Key<bool> allow_expired{"client.ssl.allow_expired", "1", "",
                                                 "the user may accept an expired certificate",
                                                 config::file_only};
inline constexpr config::Key<bool> allow_not_yet_valid{
    "client.ssl.allow_not_yet_valid", "1", "",
    "the user may accept a certificate that is not valid yet", config::file_only};
inline constexpr config::Key<bool> allow_insecure_sign_algo{
    "client.ssl.allow_insecure_sign_algo", "1", "",
    "the user may accept a certificate with a weak signature", config::file_only};
inline constexpr config::Key<bool> allow_weak_key{"client.ssl.allow_weak_key", "0", "",
                                                  "the user may accept a key that is too short",
                                                  config::file_only};
inline constexpr config::Key<bool> allow_revoked{"client.ssl.allow_revoked", "0", "",
                                                 "the user may accept a revoked certificate",
                                                 config::file_only};
inline constexpr config::Key<bool> allow_unknown_error{
    "client.ssl.allow_unknown_error", "1", "",
    "the user may accept a certificate with a problem of another kind", config::file_only};

inline constexpr config::Key<config::Path> log_filename{
    "client.log.filename", "", "", "the log; empty: ~/.qvd/qvd-client.log", config::file_only};
inline constexpr config::Key<config::Word> log_level{
    "log.level", "INFO", "ALL|TRACE|DEBUG|INFO|WARN|ERROR|FATAL|OFF",
    "the least important lines to write", config::file_only};

inline void declare(config::KeySet& keys) {
    keys.add(host_name, host_port, user_name, link, geometry, fullscreen, nxproxy_extra_args,
             nxagent_extra_args, command_nxproxy, log_filename, log_level);
    keys.add(use_ssl, ssl_use_cert, ssl_cert_file, ssl_key_file, allow_bad_host, allow_untrusted,
             allow_expired, allow_not_yet_valid, allow_insecure_sign_algo, allow_weak_key,
             allow_revoked, allow_unknown_error);
}

}  // namespace qvd::client
