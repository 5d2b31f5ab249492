// Reading and writing in the files of a container that does not run. Its user was root in there:
// every path is resolved as inside, and no symbolic link of his leads to a file of the node's.
#pragma once

#include "common/unique_fd.hpp"

#include <string>
#include <string_view>

namespace qvd::lxc {

class RootTree {
public:
    // Throws sdk::Failure if it cannot be opened.
    explicit RootTree(const std::string& path);

    // Where the path leads, links followed inside; empty if there is nothing.
    [[nodiscard]] std::string resolve(const std::string& path) const;
    [[nodiscard]] bool exists(const std::string& path) const { return !resolve(path).empty(); }
    // A regular file, no link on the way; of any size, or of none.
    [[nodiscard]] bool is_file(const std::string& path) const;
    [[nodiscard]] bool is_empty(const std::string& path) const;
    // Begins with this text; false also if it does not exist.
    [[nodiscard]] bool begins_with(const std::string& path, std::string_view text) const;

    // Makes the directory (and those above it) if it is missing or something else has its name.
    void make(const std::string& directory) const { static_cast<void>(directory_at(directory)); }
    // Replaces `directory/name` by a regular file with this content. The directory is made if it is
    // missing or if something else has its name; no link is followed on the way.
    void write(const std::string& directory, const std::string& name, std::string_view content,
               unsigned mode) const;

private:
    [[nodiscard]] UniqueFd directory_at(const std::string& directory) const;

    std::string path_;
    UniqueFd root_;
};

}  // namespace qvd::lxc
