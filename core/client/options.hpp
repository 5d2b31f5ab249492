// The command line of qvdclient.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace qvd::client {

// What was said; nothing where the configuration decides.
struct Options {
    bool help = false;
    bool version = false;
    bool debug = false;
    bool fullscreen = false;
    bool list = false;
    bool first = false;
    bool any_certificate = false;
    bool restart = false;
    bool json = false;
    bool password_on_stdin = false;  // -w -
    std::optional<std::string> host;
    std::optional<std::string> port;
    std::optional<std::string> user;
    std::optional<Secret> password;
    std::optional<std::string> geometry;
    std::optional<std::string> nx_options;
    std::optional<std::string> certificate_file;
    std::optional<std::string> key_file;
    std::optional<std::int64_t> vm;
};

// Reads the arguments (without the program's name) and overwrites the password among them, so that
// the process list does not show it. Errors: usage.option.
Result<Options> parse_options(std::span<char*> arguments);

[[nodiscard]] std::string usage();

}  // namespace qvd::client
