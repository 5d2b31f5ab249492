// The command line of qvd-node.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "net/role_link.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qvd::node {

struct Options {
    enum class Verb { run, reload, stop, stop_vms, status, check_config, version, help };
    Verb verb = Verb::run;
    std::string config_file;
    bool daemon = false;
    bool json = false;

    // What the supervisor adds when it starts this program as a role.
    std::optional<net::Role> role;
    std::string instance;
    // Of an l7r worker, which must not read a file with passwords in it: everything it is told.
    log::Target log;
    std::string user;
};

// Errors: usage, with the sentence to show.
Result<Options> parse_options(std::span<char* const> words);

std::string_view usage();

}  // namespace qvd::node
