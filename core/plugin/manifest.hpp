// What a plugin says of itself, copied and checked before any of its functions is called.
#pragma once

#include "base/result.hpp"
#include "config/key.hpp"

#include <qvd/plugin.h>

#include <string>
#include <string_view>
#include <vector>

namespace qvd::plugin {

struct Manifest {
    std::string name;
    std::string version;
    std::string summary;
    std::string license;
    std::vector<std::string> interfaces;  // ids
    std::vector<config::Declaration> keys;
};

// Errors "plugin.manifest.*", one code and one sentence for each way to be wrong; `name` is the one
// that the file name promises.
Result<Manifest> read_manifest(const qvd_plugin* plugin, std::string_view name);

// Only its keys, each checked like those of read_manifest().
Result<std::vector<config::Declaration>> read_keys(const qvd_plugin& plugin);

// The table of an interface, or null.
const qvd_interface_head* find_interface(const qvd_plugin& plugin, std::string_view id);

}  // namespace qvd::plugin
