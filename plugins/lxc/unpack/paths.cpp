#include "unpack/archive.hpp"

#include <algorithm>
#include <vector>

namespace qvd::lxc {

namespace {

std::vector<std::string> parts_of(const std::string& path) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= path.size();) {
        const std::size_t slash = std::min(path.find('/', at), path.size());
        const std::string part = path.substr(at, slash - at);
        if (!part.empty() && part != ".") parts.push_back(part);
        at = slash + 1;
    }
    return parts;
}

}  // namespace

bool safe_path(const std::string& path, std::string& clean) {
    clean.clear();
    if (!path.empty() && path.front() == '/') return false;
    for (const std::string& part : parts_of(path)) {
        if (part == "..") return false;
        if (!clean.empty()) clean += '/';
        clean += part;
    }
    return true;
}

bool safe_target(const std::string& path, const std::string& target) {
    if (target.empty()) return false;
    const bool absolute = target.front() == '/';
    // How deep the link's own directory lies.
    std::size_t depth = absolute ? 0 : parts_of(path).size() - 1;
    for (const std::string& part : parts_of(target)) {
        if (part != "..") {
            ++depth;
        } else if (depth == 0) {
            return false;
        } else {
            --depth;
        }
    }
    return true;
}

}  // namespace qvd::lxc
