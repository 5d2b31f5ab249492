// What this node is told by its file: the keys of all rooms and installed plugins, joined.
#pragma once

#include "config/properties.hpp"
#include "config/view.hpp"
#include "plugin/catalogue.hpp"

namespace qvd::node {

using plugin::InstalledPlugin;

// The view without the keys of plugins; wrong values are its findings.
config::View view_of(const config::Properties& file);

// Adds the keys of every plugin in path.plugins, read in child processes (plugin/catalogue.hpp).
// One that cannot be used is no error here: who needs it says so.
config::View view_with_plugins(const config::Properties& file, plugin::Catalogue& found);

}  // namespace qvd::node
