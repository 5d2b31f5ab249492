// qa OBJECT COMMAND [key=value ...] [options]: the manual's grammar (manual 5.2, behaviour 6.1).
#pragma once

#include "admin/filter.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <map>
#include <string>
#include <vector>

namespace qvd::qa {

struct CommandLine {
    std::string object;
    std::string command;
    std::map<std::string, std::string> parameters;  // key=value
    std::vector<std::string> words;                 // without "=": keys of config get, propdel ...
    std::vector<std::string> filters;
    admin::Filter filter;       // what they mean
    Secret password;            // of password=, taken out of the arguments
    std::string config_file;    // -c
    std::string node;           // --node HOST[:PORT]; empty: where the VM runs
    std::string operator_name;  // --operator
    bool force = false;
    bool quiet = false;
    bool json = false;
    bool help = false;
    bool version = false;
    bool all = false;      // --all
    bool wait = false;     // --wait
    bool purge = false;    // --purge
    bool usage = false;    // --usage
    bool dry_run = false;  // --dry-run
    bool has_password = false;
};

// Options may stand anywhere, in any case, and may be shortened as long as one fits. Overwrites
// the value of password= in `arguments`, so that others cannot read it from /proc for long.
// invalid "usage".
Result<CommandLine> parse_command_line(int count, char** arguments);

}  // namespace qvd::qa
