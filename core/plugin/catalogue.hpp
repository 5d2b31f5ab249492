// What lies in a folder of plugins, found out without letting their code into this process.
#pragma once

#include "base/clock.hpp"
#include "config/key.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace qvd::plugin {

struct InstalledPlugin {
    std::string name;
    std::string version;
    std::vector<std::string> interfaces;    // ids
    std::vector<config::Declaration> keys;  // without what holds for the core's keys only
    std::string problem;                    // why it cannot be loaded; empty: it can
};
using Catalogue = std::vector<InstalledPlugin>;

// Loads each plugin of a folder in a child process of its own and reads its manifest there;
// one that crashes, ends its process, or is not done within `limit` is an entry with a problem.
// Call it while this process has one thread.
Catalogue read_catalogue(const std::string& folder, Milliseconds limit = Milliseconds{20'000});

// Whether some plugin declares this key.
bool declares(const Catalogue& catalogue, std::string_view key);

}  // namespace qvd::plugin
