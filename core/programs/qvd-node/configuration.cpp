#include "configuration.hpp"

#include "broker/keys.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "plugin/keys.hpp"
#include "plugin/library.hpp"
#include "plugin/registry.hpp"
#include "store/keys.hpp"
#include "supervisor/keys.hpp"

namespace qvd::node {

namespace {

std::shared_ptr<config::KeySet> keys_of_rooms() {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    store::declare(*keys);
    plugin::declare(*keys);
    broker::declare(*keys);
    hkd::declare(*keys);
    supervisor::declare(*keys);
    return keys;
}

InstalledPlugin add_plugin(const std::string& folder, const std::string& name,
                           config::KeySet& keys) {
    InstalledPlugin found{name, {}, {}, {}};
    const auto library = plugin::Library::open(folder, name);
    if (!library.ok()) {
        found.problem = library.error().sentence();
        return found;
    }
    const plugin::Manifest& manifest = (*library)->manifest();
    found.version = manifest.version;
    found.interfaces = manifest.interfaces;
    for (const config::Declaration& key : manifest.keys)
        if (const auto declared = keys.declare(key); !declared.ok())
            found.problem = declared.error().sentence();
    return found;
}

}  // namespace

config::View view_of(const config::Properties& file) {
    return {keys_of_rooms(), file};
}

config::View view_with_plugins(const config::Properties& file,
                               std::vector<InstalledPlugin>& found) {
    const auto keys = keys_of_rooms();
    const std::string folder = view_of(file).get(config::path_plugins);
    for (const std::string& name : plugin::Registry::installed(folder))
        found.push_back(add_plugin(folder, name, *keys));
    return {keys, file};
}

}  // namespace qvd::node
