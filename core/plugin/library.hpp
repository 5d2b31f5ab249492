// A shared object with a plugin in it: found, mistrusted, opened, and never unmapped again.
#pragma once

#include "plugin/manifest.hpp"

#include <memory>
#include <string>

namespace qvd::plugin {

class Library {
public:
    // Opens `folder`/qvd-`name`.so. Before any code of it runs: the file and its folder must belong
    // to root (or to whom this process runs as) and be writable by nobody else, and it must export
    // qvd_plugin_v1 (read from the file's own tables). Errors: not_found "plugin.not_installed",
    // denied "plugin.untrusted", invalid "plugin.file" | "plugin.load" | "plugin.manifest.*".
    static Result<std::shared_ptr<const Library>> open(const std::string& folder,
                                                       const std::string& name);
    // The same for any file; the name is taken from it ("qvd-NAME.so"). For qvd-plugin-check.
    static Result<std::shared_ptr<const Library>> open_file(const std::string& path);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const Manifest& manifest() const { return manifest_; }
    [[nodiscard]] const qvd_plugin& plugin() const { return *plugin_; }

private:
    Library() = default;

    std::string path_;
    Manifest manifest_;
    const qvd_plugin* plugin_ = nullptr;
};

// The symbols that a shared object exports; invalid "plugin.file" if it is none.
Result<std::vector<std::string>> exported_symbols(const std::string& path);

}  // namespace qvd::plugin
