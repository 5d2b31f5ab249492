#include "plugin/manifest.hpp"

#include "base/text.hpp"
#include "plugin/record.hpp"

#include <qvd/authenticator.h>
#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>
#include <qvd/vma_hook.h>

#include <algorithm>
#include <set>

namespace qvd::plugin {

namespace {

constexpr std::size_t max_elements = 1000;
constexpr std::size_t max_text = 4096;

Error wrong(std::string_view code, std::string sentence) {
    return {ErrorKind::invalid, "plugin.manifest." + std::string(code), std::move(sentence)};
}

// A C string of the plugin's; a missing or endless one is an error.
Result<std::string> text_of(const char* text, std::string_view what) {
    if (text == nullptr) return wrong("text", "the manifest has no " + std::string(what));
    const std::size_t length = strnlen(text, max_text + 1);
    if (length > max_text)
        return wrong("text", "the manifest's " + std::string(what) + " is longer than 4096 bytes");
    return std::string(text, length);
}

bool is_plugin_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

Result<void> check_array(const qvd_array& array, std::size_t least_stride, std::string_view what) {
    if (array.count == 0) return {};
    if (array.first == nullptr || array.count > max_elements || array.stride < least_stride)
        return wrong("array", "the manifest's list of " + std::string(what) +
                                  " is malformed (count " + std::to_string(array.count) +
                                  ", stride " + std::to_string(array.stride) + ")");
    return {};
}

Result<void> check_versions(const qvd_plugin& plugin) {
    // Anything shorter cannot have been built as a plugin.
    if (!QVD_HAS(qvd_plugin, &plugin, keys))
        return wrong("size", "the manifest is " + std::to_string(plugin.size) +
                                 " bytes, the shortest that was ever valid is " +
                                 std::to_string(sizeof(qvd_plugin)));
    if (plugin.abi_major != QVD_ABI_MAJOR)
        return wrong("major", "it was built for plugin ABI " + std::to_string(plugin.abi_major) +
                                  ", this core speaks " + std::to_string(QVD_ABI_MAJOR));
    if (plugin.draft != QVD_ABI_DRAFT)
        return wrong("draft", "it was built against draft " + std::to_string(plugin.draft) +
                                  " of the plugin ABI, this core is draft " +
                                  std::to_string(QVD_ABI_DRAFT) + ": rebuild it");
    if (plugin.min_core_minor > QVD_ABI_MINOR)
        return wrong("minor", "it needs a core of plugin ABI minor " +
                                  std::to_string(plugin.min_core_minor) + ", this one is " +
                                  std::to_string(QVD_ABI_MINOR));
    return {};
}

std::size_t least_table_size(std::string_view id) {
    if (id == QVD_LOAD_BALANCER) return offsetof(qvd_load_balancer, choose) + sizeof(void*);
    if (id == QVD_HYPERVISOR) return offsetof(qvd_hypervisor, state) + sizeof(void*);
    return sizeof(qvd_interface_head);
}

std::string missing_function(const qvd_hypervisor& backend) {
    if (backend.survey == nullptr) return "survey";
    if (backend.start == nullptr) return "start";
    if (backend.stop == nullptr) return "stop";
    if (backend.destroy_vm == nullptr) return "destroy_vm";
    if (backend.state == nullptr) return "state";
    return {};
}

// What an interface must have besides create and destroy; an empty text if all is there.
std::string missing_function(std::string_view id, const qvd_interface_head* table) {
    if (table->create == nullptr) return "create";
    if (table->destroy == nullptr) return "destroy";
    if (id == QVD_LOAD_BALANCER) {
        const auto* balancer = reinterpret_cast<const qvd_load_balancer*>(table);  // NOLINT
        if (balancer->choose == nullptr) return "choose";
    }
    if (id == QVD_HYPERVISOR)
        return missing_function(*reinterpret_cast<const qvd_hypervisor*>(table));  // NOLINT
    return {};
}

Result<std::string> read_interface(const qvd_interface& interface) {
    QVD_TRY(std::string id, text_of(interface.id, "interface id"));
    const auto* table = static_cast<const qvd_interface_head*>(interface.table);
    if (table == nullptr) return wrong("table", "its interface " + id + " has no table");
    if (table->size < least_table_size(id))
        return wrong("table",
                     "its table for " + id + " is only " + std::to_string(table->size) + " bytes");
    if (const std::string missing = missing_function(id, table); !missing.empty())
        return wrong("function", "its interface " + id + " lacks " + missing + "()");
    return id;
}

config::Kind kind_of(qvd_key_type type) {
    switch (type) {
        case QVD_INTEGER:
            return config::Kind::integer;
        case QVD_NUMBER:
            return config::Kind::number;
        case QVD_BOOLEAN:
            return config::Kind::boolean;
        case QVD_SECONDS:
            return config::Kind::seconds;
        case QVD_PATH:
            return config::Kind::path;
        default:
            return config::Kind::text;
    }
}

// "1..64" is a range, "never|find|always" the words of an enumeration.
Result<void> apply_allowed(config::Declaration& key, std::string_view allowed) {
    const std::size_t dots = allowed.find("..");
    if (dots == std::string_view::npos) {
        key.kind = config::Kind::word;
        key.unit = std::string(allowed);
        return {};
    }
    const auto low = text::to_integer(text::trim(allowed.substr(0, dots)));
    const auto high = text::to_integer(text::trim(allowed.substr(dots + 2)));
    if (!low || !high || *low > *high)
        return wrong("key", "its key " + key.name + " allows " + text::quoted(allowed) +
                                ", which is no range");
    key.range = {*low, *high};
    return {};
}

Result<config::Declaration> read_key(const qvd_config_key& raw) {
    QVD_TRY(std::string name, text_of(raw.name, "key name"));
    config::Declaration key{.name = std::move(name), .kind = kind_of(raw.type)};
    QVD_TRY(key.meaning, text_of(raw.meaning, "meaning of the key " + key.name));
    if (raw.default_value != nullptr) {
        QVD_TRY(key.fallback, text_of(raw.default_value, "default of the key " + key.name));
    }
    if ((raw.flags & QVD_KEY_REQUIRED) != 0U) key.flags |= config::required;
    if ((raw.flags & QVD_KEY_SECRET) != 0U) key.flags |= config::secret;
    if ((raw.flags & QVD_KEY_FILE_ONLY) != 0U) key.flags |= config::file_only;
    if (raw.type == QVD_SECONDS) key.unit = "seconds";
    if (raw.allowed != nullptr) {
        QVD_TRY(const std::string allowed, text_of(raw.allowed, "allowed values of " + key.name));
        QVD_CHECK(apply_allowed(key, allowed));
    }
    const bool is_text_with_variables =
        key.fallback && key.fallback->find("${") != std::string::npos;
    if (key.fallback && !is_text_with_variables)
        if (const auto checked = config::check_value(key, *key.fallback); !checked.ok())
            return wrong("key",
                         "the default of its key " + key.name + ": " + checked.error().sentence());
    return key;
}

Result<void> read_interfaces(const qvd_plugin& plugin, Manifest& manifest) {
    QVD_CHECK(check_array(plugin.interfaces, sizeof(qvd_interface), "interfaces"));
    if (plugin.interfaces.count == 0) return wrong("interfaces", "it implements no interface");
    for (std::size_t i = 0; i < plugin.interfaces.count; ++i) {
        QVD_TRY(std::string id, read_interface(*static_cast<const qvd_interface*>(
                                    qvd_array_at(&plugin.interfaces, i))));
        if (std::ranges::find(manifest.interfaces, id) != manifest.interfaces.end())
            return wrong("interfaces", "it offers the interface " + id + " twice");
        manifest.interfaces.push_back(std::move(id));
    }
    return {};
}

}  // namespace

Result<std::vector<config::Declaration>> read_keys(const qvd_plugin& plugin) {
    std::vector<config::Declaration> keys;
    QVD_CHECK(check_array(plugin.keys, QVD_LEAST(qvd_config_key, allowed), "keys"));
    std::set<std::string> names;
    for (std::size_t i = 0; i < plugin.keys.count; ++i) {
        const auto raw = copy_record<qvd_config_key>(qvd_array_at(&plugin.keys, i),
                                                     QVD_LEAST(qvd_config_key, meaning));
        if (!raw)
            return wrong("key", "the size of its key number " + std::to_string(i) + " is wrong");
        QVD_TRY(config::Declaration key, read_key(*raw));
        if (!names.insert(key.name).second)
            return wrong("key", "it declares the key " + key.name + " twice");
        keys.push_back(std::move(key));
    }
    return keys;
}

Result<Manifest> read_manifest(const qvd_plugin* plugin, std::string_view name) {
    if (plugin == nullptr) return wrong("null", "qvd_plugin_v1() returned no manifest");
    QVD_CHECK(check_versions(*plugin));
    Manifest manifest;
    QVD_TRY(manifest.name, text_of(plugin->name, "name"));
    if (!is_plugin_name(manifest.name))
        return wrong("name", "its name " + text::quoted(manifest.name, 64) +
                                 " is not made of a-z, 0-9 and \"-\"");
    if (manifest.name != name)
        return wrong("name", "the file promises " + text::quoted(name, 64) +
                                 " but the plugin calls itself " + text::quoted(manifest.name, 64));
    QVD_TRY(manifest.version, text_of(plugin->version, "version"));
    QVD_TRY(manifest.summary, text_of(plugin->summary, "summary"));
    QVD_TRY(manifest.license, text_of(plugin->license, "license"));
    QVD_CHECK(read_interfaces(*plugin, manifest));
    QVD_TRY(manifest.keys, read_keys(*plugin));
    return manifest;
}

const qvd_interface_head* find_interface(const qvd_plugin& plugin, std::string_view id) {
    for (std::size_t i = 0; i < plugin.interfaces.count; ++i) {
        const auto* interface =
            static_cast<const qvd_interface*>(qvd_array_at(&plugin.interfaces, i));
        if (interface->id != nullptr && id == interface->id)
            return static_cast<const qvd_interface_head*>(interface->table);
    }
    return nullptr;
}

}  // namespace qvd::plugin
