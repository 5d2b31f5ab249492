// Whole files, read with a bound and written so that a reader never sees half of one.
#pragma once

#include "base/result.hpp"

#include <sys/types.h>

#include <string>
#include <string_view>

namespace qvd::file {

// The whole content; a file longer than `limit` bytes is an error, not cut.
Result<std::string> read(const std::string& path, std::size_t limit = 1U << 20U);
// The same of a place where others may write: never waits, as a pipe there would make us. Errors:
// file.not_regular.
Result<std::string> read_regular(const std::string& path, std::size_t limit);
// Writes beside `path`, syncs and renames over it; the file has exactly `mode`.
Result<void> write_atomic(const std::string& path, std::string_view content, mode_t mode);
// The folder and its missing parents, each new one with `mode`.
Result<void> make_folders(const std::string& path, mode_t mode = 0755);

}  // namespace qvd::file
