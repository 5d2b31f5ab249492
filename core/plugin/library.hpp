// A shared object with a plugin in it: found, mistrusted, opened, and never unmapped again.
#pragma once

#include "plugin/manifest.hpp"

#include <memory>
#include <string>

namespace qvd::plugin {

// Whether a file must be such that only root, or who runs this, can have written it. A node always
// demands it; who tries a plugin that he has just built may not.
enum class Trust { demanded, not_asked };

class Library {
public:
    // Opens `folder`/qvd-`name`.so. Before any code of it runs: the file and its folder must belong
    // to root (or to whom this process runs as) and be writable by nobody else, and it must export
    // qvd_plugin_v1 (exports.hpp). Errors: not_found "plugin.not_installed",
    // denied "plugin.untrusted", invalid "plugin.file" | "plugin.load" | "plugin.manifest.*".
    static Result<std::shared_ptr<const Library>> open(const std::string& folder,
                                                       const std::string& name);
    // The same for any file; the name is taken from it ("qvd-NAME.so"). For qvd-plugin-check.
    static Result<std::shared_ptr<const Library>> open_file(const std::string& path,
                                                            Trust trust = Trust::demanded);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const Manifest& manifest() const { return manifest_; }
    [[nodiscard]] const qvd_plugin& plugin() const { return *plugin_; }

private:
    Library() = default;

    std::string path_;
    Manifest manifest_;
    const qvd_plugin* plugin_ = nullptr;
};

// What open_file() demands of the file before any code of it runs.
Result<void> check_library_file(const std::string& path, Trust trust);

}  // namespace qvd::plugin
