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

Registry::Registry(Host& host) : host_(host) {
}

std::string Registry::resolve(std::string_view interface, const std::string& name,
                              const config::View& view) {
    if (interface == QVD_LOAD_BALANCER && name == "default") return "weighted";
    if (interface == QVD_HYPERVISOR && name == "lxc")
        return view.get(unionfs_type) == "btrfs" ? "lxc-btrfs" : "lxc-unionfs";
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
    QVD_TRY(std::shared_ptr<const Library> library,
            Library::open(host_.view().get(config::path_plugins), name));
    libraries_[name] = library;
    return library;
}

std::string Registry::not_installed(std::string_view interface, const Error& error) {
    std::vector<std::string> fitting;
    for (const std::string& name : installed(host_.view().get(config::path_plugins))) {
        const auto library = open(name);
        if (library.ok() && find_interface((*library)->plugin(), interface) != nullptr)
            fitting.push_back(name);
    }
    const std::string list = fitting.empty() ? "none" : text::join(fitting, ", ");
    return error.sentence() + " (installed " + std::string(word_for(interface)) + "s: " + list +
           ")";
}

Result<std::shared_ptr<Instance>> Registry::make(std::string_view interface,
                                                 const std::string& name) {
    const std::string file_name = resolve(interface, name, host_.view());
    auto library = open(file_name);
    if (!library.ok()) {
        if (library.error().code() != "plugin.not_installed") return library.error();
        return Error{ErrorKind::not_found, "plugin.not_installed",
                     std::string(word_for(interface)) + " " + text::quoted(name) +
                         " is not installed: " + not_installed(interface, library.error())};
    }
    const qvd_interface_head* table = find_interface((*library)->plugin(), interface);
    if (table == nullptr)
        return Error{ErrorKind::invalid, "plugin.interface",
                     "the plugin " + file_name + " is no " + std::string(word_for(interface))};
    std::shared_ptr<Turn> turn;
    if (concurrency_of(table->threading) == QVD_SERIAL) {
        turn = turns_[file_name];
        if (!turn) turn = turns_[file_name] = std::make_shared<Turn>(host_.workers());
    }
    auto lane = std::make_shared<Lane>(host_.workers(), table->threading, std::move(turn));
    return Instance::make(host_, *library, interface, name, std::move(lane));
}

}  // namespace qvd::plugin
