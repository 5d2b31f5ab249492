// Which plugins there are and what each name of the configuration means: files are found, opened
// once, and offered by interface. All or nothing: a role starts with every plugin that its
// configuration names, or says which one it could not have and why.
#pragma once

#include "plugin/catalogue.hpp"
#include "plugin/instance.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace qvd::plugin {

class Registry {
public:
    // `catalogue` says which of the plugins that there are would fit, for who looks for one that is
    // not there. Opens nothing.
    explicit Registry(Host& host, Catalogue catalogue = {});

    // An instance of the plugin that `name` means for this interface (aliases of architecture 5.7).
    // The sentence of not_found "plugin.not_installed" names what is installed.
    Result<std::shared_ptr<Instance>> make(std::string_view interface, const std::string& name);

    // The plugin itself; opened once. Its keys are its own, or mean what they mean to the core and
    // to the plugins opened before: else conflict "plugin.keys", and it is not used.
    Result<std::shared_ptr<const Library>> open(const std::string& name);

    // "default" → "weighted" for a balancer, "lxc" → "lxc-unionfs" for a hypervisor; otherwise
    // the name itself.
    [[nodiscard]] static std::string resolve(std::string_view interface, const std::string& name,
                                             const config::View& view);

    // Names of the plugin files in a folder, sorted.
    [[nodiscard]] static std::vector<std::string> installed(const std::string& folder);

private:
    [[nodiscard]] std::string what_there_is(std::string_view interface) const;
    [[nodiscard]] Result<void> check_keys(const Manifest& manifest) const;
    std::shared_ptr<Lane> lane_for(std::string_view interface, const std::string& file_name,
                                   qvd_threading threading);

    Host& host_;
    Catalogue catalogue_;
    std::map<std::string, std::shared_ptr<const Library>> libraries_;
    std::set<std::string> tried_;
    std::map<std::string, std::shared_ptr<Turn>> turns_;  // of SERIAL plugins, by name
};

// "balancer", "authenticator", ...: what operators call an interface.
std::string_view word_for(std::string_view interface);

}  // namespace qvd::plugin
