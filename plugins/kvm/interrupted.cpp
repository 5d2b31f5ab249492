#include "interrupted.hpp"

#include "files.hpp"

#include <sys/stat.h>

#include <sstream>
#include <utility>

namespace qvd::kvm {

namespace {

constexpr const char* mark_name = "/goes-on";
constexpr const char* memory_name = "/memory";

std::vector<std::string> marked_folders(std::uint64_t vm_id, const Settings& settings) {
    const std::string its = std::to_string(vm_id) + "-checkpoint-";
    std::vector<std::string> found;
    for (const std::string& name : names_in(settings.suspended)) {
        if (name.compare(0, its.size(), its) != 0) continue;
        std::string folder = settings.suspended + "/" + name;
        if (exists(folder + mark_name)) found.push_back(std::move(folder));
    }
    return found;
}

bool is_younger(const struct stat& one, const struct stat& other) {
    return std::pair(one.st_mtim.tv_sec, one.st_mtim.tv_nsec) >
           std::pair(other.st_mtim.tv_sec, other.st_mtim.tv_nsec);
}

// Not one of these was written to since: with them the memory is the guest as it was.
bool fits(const std::string& memory, const std::string& mark) {
    struct stat saved {};
    const auto disks = read_file(mark);
    if (!disks || ::stat(memory.c_str(), &saved) != 0) return false;
    std::istringstream lines(*disks);
    for (std::string disk; std::getline(lines, disk);) {
        struct stat written {};
        if (::stat(disk.c_str(), &written) != 0 || is_younger(written, saved)) return false;
    }
    return true;
}

}  // namespace

std::string fresh_memory_of(std::uint64_t vm_id, const Settings& settings) {
    return settings.memory_of(vm_id) + ".new";
}

void mark_checkpoint(const std::string& folder, const std::vector<std::string>& disks) {
    std::string lines;
    for (const std::string& disk : disks) lines += disk + "\n";
    replace_file(folder + mark_name, lines, 0600);
}

void unmark_checkpoint(const std::string& folder) {
    remove_file(folder + mark_name);
}

bool is_interrupted(std::uint64_t vm_id, const Settings& settings) {
    return exists(fresh_memory_of(vm_id, settings)) || !marked_folders(vm_id, settings).empty();
}

bool take_interrupted(const Order& order, std::uint64_t vm_id, const Settings& settings) {
    const std::string memory = settings.memory_of(vm_id);
    if (exists(memory)) return true;
    const std::string fresh = fresh_memory_of(vm_id, settings);
    if (exists(fresh) && orders::is_whole(order, fresh)) {
        rename_file(fresh, memory);
        return true;
    }
    bool taken = false;
    for (const std::string& folder : marked_folders(vm_id, settings)) {
        const std::string its = folder + memory_name;
        if (!taken && fits(its, folder + mark_name) && orders::is_whole(order, its)) {
            rename_file(its, memory);
            taken = true;
        }
        unmark_checkpoint(folder);
    }
    return taken;
}

void forget_interrupted(std::uint64_t vm_id, const Settings& settings) {
    for (const std::string& folder : marked_folders(vm_id, settings)) remove_folder(folder);
    remove_file(fresh_memory_of(vm_id, settings));
}

}  // namespace qvd::kvm
