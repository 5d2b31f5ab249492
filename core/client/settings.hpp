// What this run shall do: defaults, then the files, the environment and the command line.
#pragma once

#include "base/log.hpp"
#include "client/connection.hpp"
#include "client/judge.hpp"
#include "client/options.hpp"
#include "client/vm_list.hpp"

#include <map>
#include <string>
#include <vector>

namespace qvd::client {

struct Settings {
    std::string host;
    int port = 0;
    std::string user;
    std::string geometry;  // WxH; empty: the screen's
    bool fullscreen = false;
    std::string link;
    std::string nxagent_options;
    std::string nxproxy_command;
    std::vector<std::string> nxproxy_arguments;
    std::string nxproxy_options;  // "data=0,cache=16384", of -x
    bool use_tls = true;
    TlsSettings tls;
    CertificatePolicy certificates;
    Choice choice;
    bool list_only = false;
    bool restart = false;
    bool json = false;
    std::string display;
    log::Target log;
    std::vector<std::string> warnings;  // about the configuration files
};

// The environment as the program found it; tests give their own.
using Environment = std::map<std::string, std::string, std::less<>>;

// `system_file` and ~/.qvd/client.conf may be missing. Does not look for the password.
// Errors: config.*, usage.*.
Result<Settings> read_settings(const Options& options, const Environment& environment,
                               const std::string& system_file);

}  // namespace qvd::client
