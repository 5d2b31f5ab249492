#include "plugin/library.hpp"

#include "base/text.hpp"
#include "plugin/exports.hpp"

#include <boost/dll/shared_library.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <mutex>

namespace qvd::plugin {

namespace {

constexpr const char* entry_symbol = "qvd_plugin_v1";

Error untrusted(const std::string& path, const std::string& why) {
    return {ErrorKind::denied, "plugin.untrusted",
            path + " " + why + ": a plugin runs with the node's rights, so only root may write it"};
}

Result<void> check_owner(const std::string& path, const struct stat& status) {
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        return untrusted(path, "belongs to user " + std::to_string(status.st_uid));
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
    // In a folder with the sticky bit others can add files, but not replace one of somebody else's.
    if (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0) return {};
    return untrusted(path, "is writable by others");
}

// `path` leads to a file, perhaps by links: what counts is where that file lies.
Result<void> check_file(const std::string& path, Trust trust) {
    std::error_code problem;
    const std::filesystem::path real = std::filesystem::canonical(path, problem);
    struct stat status {};
    if (problem || ::stat(real.c_str(), &status) != 0) {
        if (problem == std::errc::no_such_file_or_directory ||
            problem == std::errc::not_a_directory)
            return Error{ErrorKind::not_found, "plugin.not_installed", "there is no " + path};
        return Error{ErrorKind::invalid, "plugin.file",
                     "cannot look at " + path + ": " + problem.message()};
    }
    if (!S_ISREG(status.st_mode))
        return Error{ErrorKind::invalid, "plugin.file", path + " is not a file"};
    if (trust == Trust::not_asked) return {};
    QVD_CHECK(check_owner(path, status));
    const std::string folder = real.parent_path().string();
    if (::stat(folder.c_str(), &status) != 0) return errno_error("plugin.file", folder);
    return check_owner(folder, status);
}

Result<void> check_exports(const std::string& path) {
    QVD_TRY(const std::vector<std::string> symbols, exported_symbols(path));
    if (std::ranges::find(symbols, entry_symbol) == symbols.end())
        return Error{ErrorKind::invalid, "plugin.file",
                     path + " exports no " + entry_symbol +
                         ": it is not a QVD plugin, or was linked without QVD_EXPORT"};
    return {};
}

// Code that was mapped once stays, whoever still points into it: the list is never destroyed.
const boost::dll::shared_library& kept_for_good(boost::dll::shared_library library) {
    static std::mutex mutex;
    // NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): behind the mutex
    static auto* const all = new std::deque<boost::dll::shared_library>;
    const std::scoped_lock lock(mutex);
    return all->emplace_back(std::move(library));
}

Result<const qvd_plugin*> load(const std::string& path) {
    namespace dll = boost::dll;
    try {
        const dll::shared_library& library = kept_for_good(
            dll::shared_library(path, dll::load_mode::rtld_now | dll::load_mode::rtld_local));
        return library.get<const qvd_plugin*(void)>(entry_symbol)();
    } catch (const std::exception& problem) {
        return Error{ErrorKind::invalid, "plugin.load",
                     "cannot load " + path + ": " + problem.what()};
    }
}

std::string name_in(const std::string& path) {
    const std::string stem = std::filesystem::path(path).stem().string();
    return stem.starts_with("qvd-") ? stem.substr(4) : stem;
}

}  // namespace

Result<std::shared_ptr<const Library>> Library::open(const std::string& folder,
                                                     const std::string& name) {
    if (name.empty() || name.find('/') != std::string::npos)
        return Error{ErrorKind::invalid, "plugin.name",
                     text::quoted(name) + " cannot be the name of a plugin"};
    return open_file(folder + "/qvd-" + name + ".so");
}

Result<void> check_library_file(const std::string& path, Trust trust) {
    QVD_CHECK(check_file(path, trust));
    return check_exports(path);
}

Result<std::shared_ptr<const Library>> Library::open_file(const std::string& path, Trust trust) {
    QVD_CHECK(check_library_file(path, trust));
    std::shared_ptr<Library> library(new Library);
    library->path_ = path;
    QVD_TRY(library->plugin_, load(path));
    Result<Manifest> manifest = read_manifest(library->plugin_, name_in(path));
    if (!manifest.ok()) return manifest.error().within(path);
    library->manifest_ = std::move(manifest).value();
    return std::shared_ptr<const Library>(std::move(library));
}

}  // namespace qvd::plugin
