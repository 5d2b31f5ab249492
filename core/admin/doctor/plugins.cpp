#include "admin/doctor/checks.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "plugin/keys.hpp"
#include "plugin/library.hpp"
#include "plugin/registry.hpp"

#include <qvd/authenticator.h>
#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>

namespace qvd::admin::doctor {

namespace {

// The installed plugins that can do that, for who must choose another one.
std::string installed_for(const std::string& folder, const char* interface) {
    std::vector<std::string> fitting;
    for (const std::string& name : plugin::Registry::installed(folder)) {
        const auto library = plugin::Library::open(folder, name);
        if (library.ok() && plugin::find_interface((*library)->plugin(), interface) != nullptr)
            fitting.push_back(name);
    }
    return "(installed " + std::string(plugin::word_for(interface)) +
           "s: " + (fitting.empty() ? "none" : text::join(fitting, ", ")) + ")";
}

Diagnosis check_plugin(const config::View& view, const char* interface, const std::string& name) {
    const std::string word(plugin::word_for(interface));
    const std::string folder = view.get(config::path_plugins);
    const std::string file = plugin::Registry::resolve(interface, name, view);
    const std::string id = "plugin." + word + "." + file;
    const auto library = plugin::Library::open(folder, file);
    if (!library.ok())
        return problem(id, word + " " + text::quoted(name) + ": " + library.error().sentence(),
                       "install it or configure another one " + installed_for(folder, interface));
    if (plugin::find_interface((*library)->plugin(), interface) == nullptr)
        return problem(id, (*library)->path() + " is there, but is no " + word,
                       "configure another one " + installed_for(folder, interface));
    return good(
        id, word + " " + name + ": " + (*library)->path() + " " + (*library)->manifest().version);
}

}  // namespace

Diagnoses check_plugins(const config::View& view, const InUse& use) {
    Diagnoses diagnoses;
    diagnoses.push_back(check_plugin(view, QVD_LOAD_BALANCER, view.get(plugin::balancer)));
    for (const std::string& name : view.get(plugin::authenticators))
        diagnoses.push_back(check_plugin(view, QVD_AUTHENTICATOR, name));
    for (const std::string& name : use.hypervisors)
        diagnoses.push_back(check_plugin(view, QVD_HYPERVISOR, name));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
