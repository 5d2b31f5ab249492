// What a VM that failed said last, kept until it fails anew or is deleted: its console, its agent's
// log where that can be reached, and why it failed. `qa vm log` shows it.
#pragma once

#include "base/result.hpp"
#include "config/view.hpp"
#include "hkd/backend.hpp"
#include "hkd/why.hpp"

#include <optional>
#include <set>
#include <string>

namespace qvd::hkd {

// Where they are: path.log/qvd-vm.
std::string kept_logs_folder(const config::View& view);
// The file that a VM's console writes to, whichever backend it is of; empty: there is none.
std::string console_file(const std::string& runtime_path);

// Files are for root only, each at most most_bytes long: the ends of the originals.
class KeptLogs {
public:
    static constexpr std::size_t most_bytes = std::size_t{128} * 1024;

    struct Kept {
        std::string why;  // "2026-11-22T04:13:49Z incarnation 3, CODE: ..."
        std::string console;
        std::string agent;
    };

    // Empty: nothing is kept (tests).
    explicit KeptLogs(std::string folder) : folder_(std::move(folder)) {}

    // While its files are there; `pid` of what keeps it running, 0: it has ended. In place of what
    // was kept of it before. Errors: kept.write.
    Result<void> keep(const VmPlan& vm, int pid) const;
    Result<void> explain(const VmPlan& vm, const Why& why) const;
    // Nothing: it has not failed here.
    [[nodiscard]] std::optional<Kept> find(VmId vm) const;
    // Removes those of all other VMs; returns the bytes.
    [[nodiscard]] std::uint64_t retain(const std::set<VmId>& vms) const;

private:
    [[nodiscard]] std::string folder_of(VmId vm) const { return folder_ + "/" + vm.text(); }

    std::string folder_;
};

// The end of a file inside the file system that the descendants of `pid` see, if that is another
// than this process's: symbolic links lead nowhere out of it. Empty: there is none.
std::string tail_within(int pid, const std::string& path, std::size_t most_bytes);
// The end of a file of this node; empty: it cannot be read.
std::string tail_of(const std::string& path, std::size_t most_bytes);

}  // namespace qvd::hkd
