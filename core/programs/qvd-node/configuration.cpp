#include "configuration.hpp"

#include "config/keys.hpp"
#include "keys.hpp"

namespace qvd::node {

config::View view_of(const config::Properties& file) {
    return {keys_of_rooms(), file};
}

config::View view_with_plugins(const config::Properties& file, plugin::Catalogue& found) {
    const auto keys = keys_of_rooms();
    found = plugin::read_catalogue(view_of(file).get(config::path_plugins));
    for (plugin::InstalledPlugin& one : found)
        if (const auto declared = keys->declare(one.keys); !declared.ok())
            one.problem =
                "the plugin " + one.name + " cannot be used: " + declared.error().sentence();
    return {keys, file};
}

}  // namespace qvd::node
