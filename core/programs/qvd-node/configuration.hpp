// What this node is told by its file: the keys of all rooms and installed plugins, joined.
#pragma once

#include "config/properties.hpp"
#include "config/view.hpp"

#include <string>
#include <vector>

namespace qvd::node {

struct InstalledPlugin {
    std::string name;
    std::string version;
    std::vector<std::string> interfaces;
    std::string problem;  // why it cannot be loaded; empty: it can
};

// The view without the keys of plugins; wrong values are its findings.
config::View view_of(const config::Properties& file);

// Opens every plugin in path.plugins, which runs their code, and adds their keys. A plugin that
// cannot be opened is no error here: who needs it says so.
config::View view_with_plugins(const config::Properties& file, std::vector<InstalledPlugin>& found);

}  // namespace qvd::node
