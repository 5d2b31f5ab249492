#include "describe.hpp"

#include "base/text.hpp"
#include "plugin/lane.hpp"
#include "plugin/registry.hpp"

namespace qvd::check {

namespace {

std::string kind_words(const config::Declaration& key) {
    switch (key.kind) {
        case config::Kind::integer:
            return "a whole number";
        case config::Kind::number:
            return "a number";
        case config::Kind::boolean:
            return "yes or no";
        case config::Kind::seconds:
            return "a time in seconds (or with ms, s, min, h, d)";
        case config::Kind::path:
            return "an absolute path";
        case config::Kind::word:
            return "one of " + text::join(text::split(key.unit, '|'), ", ");
        default:
            return "a text";
    }
}

std::string range_words(const config::Declaration& key) {
    const config::Range any;
    if (key.range.min == any.min && key.range.max == any.max) return {};
    return ", " + std::to_string(key.range.min) + " to " + std::to_string(key.range.max);
}

std::string threading_words(qvd_threading threading) {
    std::string words = "one call at a time";
    switch (plugin::concurrency_of(threading)) {
        case QVD_CONCURRENT:
            words = "any number of calls at once";
            break;
        case QVD_PER_INSTANCE:
            words = "one call at a time in each instance";
            break;
        default:
            break;
    }
    if ((threading & QVD_MAY_BLOCK) != 0U) words += ", may block";
    return words;
}

}  // namespace

std::string dump(const plugin::Library& library) {
    const plugin::Manifest& manifest = library.manifest();
    const qvd_plugin& plugin = library.plugin();
    std::string page =
        manifest.name + " " + manifest.version + "\n  " + manifest.summary +
        "\n  license: " + manifest.license + "\n  ABI: " + std::to_string(plugin.abi_major) + "." +
        std::to_string(plugin.abi_minor) + " draft " + std::to_string(plugin.draft) + "\n";
    for (const std::string& id : manifest.interfaces) {
        const qvd_interface_head* const table = plugin::find_interface(plugin, id);
        page += "  interface: " + id + " (" + std::string(plugin::word_for(id)) + "), " +
                std::to_string(table->size) + " bytes, " + threading_words(table->threading) + "\n";
    }
    for (const config::Declaration& key : manifest.keys)
        page += "  key: " + key.name +
                (key.fallback ? " = " + (key.has(config::secret) ? "********" : *key.fallback)
                              : std::string()) +
                "\n";
    return page;
}

std::string keys_as_manual(const plugin::Manifest& manifest) {
    if (manifest.keys.empty()) return "The plugin " + manifest.name + " reads no keys.\n";
    std::string page = "Keys of the plugin " + manifest.name + " " + manifest.version + "\n";
    for (const config::Declaration& key : manifest.keys) {
        page += "\n" + key.name + "\n    " + key.meaning + "\n    It is " + kind_words(key) +
                range_words(key) + "; ";
        if (key.has(config::required))
            page += "required";
        else
            page += key.fallback ? "default: " + *key.fallback : "no default";
        page += ".\n";
        if (key.has(config::secret)) page += "    It is a secret: never shown or logged.\n";
        if (key.has(config::file_only)) page += "    It counts only in the file node.conf.\n";
    }
    return page;
}

}  // namespace qvd::check
