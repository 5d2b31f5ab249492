#include "image/places.hpp"

#include "base/text.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

namespace qvd::image {
namespace {

namespace fs = std::filesystem;

fs::path own_folder() {
    std::error_code ignored;
    return fs::read_symlink("/proc/self/exe", ignored).parent_path();
}

// The first that exists, or nothing.
std::string find_part(const std::string& name, const std::vector<fs::path>& folders) {
    for (const fs::path& folder : folders)
        if (::access((folder / name).c_str(), X_OK) == 0) return (folder / name).string();
    return {};
}

// Of the prefix that this program is installed below.
fs::path recipe_folder() {
    std::error_code ignored;
    const fs::path ours = own_folder().parent_path() / "share/qvd/images";
    return fs::is_directory(ours, ignored) ? ours : fs::path("/usr/share/qvd/images");
}

std::string known_recipes(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
        if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
    std::ranges::sort(names);
    return names.empty() ? "none" : text::join(names, ", ");
}

}  // namespace

Result<std::string> find_recipe(const std::string& name) {
    std::error_code ignored;
    if (fs::is_regular_file(name, ignored)) return name;
    const fs::path folder = recipe_folder();
    const fs::path known = folder / (name + ".yaml");
    if (name.find('/') == std::string::npos && fs::is_regular_file(known, ignored))
        return known.string();
    return Error{ErrorKind::not_found, "recipe.missing",
                 "there is no recipe " + text::quoted(name, 128) + "; in " + folder.string() +
                     " there are: " + known_recipes(folder)};
}

void find_parts(Parts& parts) {
    const fs::path ours = own_folder();
    const fs::path prefix = ours.parent_path();
    if (parts.agent.empty())
        parts.agent = find_part("qvd-vma", {ours, prefix / "sbin", "/usr/sbin", "/usr/bin"});
    if (parts.init.empty())
        parts.init =
            find_part("qvd-image-init", {ours, prefix / "lib/qvd/bin", "/usr/lib/qvd/bin"});
}

std::string find_unpacker() {
    const fs::path ours = own_folder();
    return find_part("qvd-unpack", {ours, ours.parent_path() / "lib/qvd/bin", "/usr/lib/qvd/bin"});
}

}  // namespace qvd::image
