// Folders and small files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::kvm {

// Makes the folder and those above it; throws sdk::Failure if it cannot.
void make_folders(const std::string& path, unsigned mode);
// Names in a folder; none if it cannot be read.
std::vector<std::string> names_in(const std::string& path);
bool exists(const std::string& path);

// Replaces the file at once, with this mode from the beginning; throws sdk::Failure.
void replace_file(const std::string& path, std::string_view content, unsigned mode);
// What is in a small file (up to 64 KiB); nothing if it cannot be read.
std::optional<std::string> read_file(const std::string& path);
// Gone, or it was not there; throws sdk::Failure otherwise.
void remove_file(const std::string& path);

void rename_file(const std::string& from, const std::string& to);  // throws sdk::Failure
// Copies a file, holes as holes, sharing what the file system can share; whole or not at all, over
// what is there. Throws sdk::Failure.
void copy_file(const std::string& from, const std::string& to);
// Removes a folder and the files in it; throws sdk::Failure.
void remove_folder(const std::string& path);

// Bytes that it takes on the disk; 0 if it is not there.
std::uint64_t disk_bytes(const std::string& path);

std::int64_t now_ms();  // since 1970, UTC

}  // namespace qvd::kvm
