#include "plugin/registry.hpp"

#include "base/text.hpp"
#include "config/keys.hpp"
#include "plugin/keys.hpp"

#include <qvd/authenticator.h>
#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>
#include <qvd/vma_hook.h>

#include <algorithm>
#include <filesystem>

namespace qvd::plugin {

std::string_view word_for(std::string_view interface) {
    if (interface == QVD_LOAD_BALANCER) return "balancer";
    if (interface == QVD_AUTHENTICATOR) return "authenticator";
    if (interface == QVD_HYPERVISOR) return "hypervisor";
    if (interface == QVD_VMA_HOOK) return "agent hook";
    return "plugin";
}

Registry::Registry(Host& host, Catalogue catalogue)
    : host_(host), catalogue_(std::move(catalogue)) {
}

std::string Registry::resolve(std::string_view interface, const std::string& name,
                              const config::View& view) {
    if (interface == QVD_LOAD_BALANCER && name == "default") return "weighted";
    if (interface == QVD_HYPERVISOR && name == "lxc") return lxc_plugin(view.get(unionfs_type));
    return name;
}

std::vector<std::string> Registry::installed(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(folder, problem)) {
        const std::string stem = entry.path().stem().string();
        if (entry.path().extension() == ".so" && stem.starts_with("qvd-"))
            names.push_back(stem.substr(4));
    }
    std::ranges::sort(names);
    return names;
}

Result<std::shared_ptr<const Library>> Registry::open(const std::string& name) {
    if (const auto known = libraries_.find(name); known != libraries_.end()) return known->second;
    const std::string folder = host_.view().get(config::path_plugins);
    // Before any code of it runs: should that crash, this line names it. Once, however often a
    // role that waits for better times tries.
    if (tried_.insert(name).second)
        log::info("plugin.opens", {{"plugin", name}, {"folder", folder}}, "");
    QVD_TRY(std::shared_ptr<const Library> library, Library::open(folder, name));
    QVD_CHECK(check_keys(library->manifest()));
    libraries_[name] = library;
    return library;
}

Result<void> Registry::check_keys(const Manifest& manifest) const {
    config::KeySet keys = host_.view().keys();
    for (const auto& [name, other] : libraries_) (void)keys.declare(other->manifest().keys);
    const auto declared = keys.declare(manifest.keys);
    if (declared.ok()) return {};
    return Error{ErrorKind::conflict, "plugin.keys",
                 "the plugin " + manifest.name + " cannot be used: " + declared.error().sentence()};
}

std::string Registry::what_there_is(std::string_view interface) const {
    const auto list = [](const std::vector<std::string>& names) {
        return names.empty() ? std::string("none") : text::join(names, ", ");
    };
    if (catalogue_.empty())
        return "installed plugins: " + list(installed(host_.view().get(config::path_plugins)));
    std::vector<std::string> fitting;
    for (const InstalledPlugin& plugin : catalogue_)
        if (std::ranges::count(plugin.interfaces, interface) != 0) fitting.push_back(plugin.name);
    return "installed " + std::string(word_for(interface)) + "s: " + list(fitting);
}

std::shared_ptr<Lane> Registry::lane_for(std::string_view interface, const std::string& file_name,
                                         qvd_threading threading) {
    OwnWorkers* const own = interface == QVD_HYPERVISOR ? &host_.workers_of(file_name) : nullptr;
    std::shared_ptr<Turn> turn;
    if (concurrency_of(threading) == QVD_SERIAL) {
        turn = turns_[file_name];
        if (!turn)
            turn = turns_[file_name] =
                std::make_shared<Turn>(own != nullptr ? own->calls.pool() : host_.workers());
    }
    if (own != nullptr) return std::make_shared<Lane>(*own, threading, std::move(turn));
    return std::make_shared<Lane>(host_.workers(), threading, std::move(turn));
}

Result<std::shared_ptr<Instance>> Registry::make(std::string_view interface,
                                                 const std::string& name) {
    const std::string file_name = resolve(interface, name, host_.view());
    auto library = open(file_name);
    if (!library.ok()) {
        if (library.error().code() != "plugin.not_installed") return library.error();
        return Error{ErrorKind::not_found, "plugin.not_installed",
                     std::string(word_for(interface)) + " " + text::quoted(name) +
                         " is not installed: " + library.error().sentence() + " (" +
                         what_there_is(interface) + ")"};
    }
    const qvd_interface_head* table = find_interface((*library)->plugin(), interface);
    if (table == nullptr)
        return Error{ErrorKind::invalid, "plugin.interface",
                     "the plugin " + file_name + " is no " + std::string(word_for(interface))};
    auto lane = lane_for(interface, file_name, table->threading);
    return Instance::make(host_, *library, interface, name, std::move(lane));
}

}  // namespace qvd::plugin
