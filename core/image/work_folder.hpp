// A folder for what comes between.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <sys/types.h>

#include <string>

namespace qvd::image {

// Goes, with everything in it, when this object goes, or this process, however it ends. What a
// machine left that lost its power goes when the next one is made beside it.
class WorkFolder {
public:
    // In the folder `beside`. Errors: image.output.
    static Result<WorkFolder> make(const std::string& beside);
    WorkFolder(WorkFolder&& other) noexcept;
    WorkFolder& operator=(WorkFolder&&) = delete;
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    ~WorkFolder();

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    WorkFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    Result<void> set_guard();

    std::string path_;
    UniqueFd lock_;   // held while the folder is used: others take it for left over otherwise
    UniqueFd alive_;  // closed by whatever end of this process: the guard removes the folder
    pid_t guard_ = 0;
};

}  // namespace qvd::image
