#include "vma/home_drive.hpp"

#include "base/file.hpp"
#include "base/log.hpp"

#include <sys/stat.h>
#include <sys/wait.h>

namespace qvd::vma {

namespace {

bool is_block_device(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 && S_ISBLK(facts.st_mode);
}

// Whether something is mounted at `path` already.
bool is_apart_from_root(const std::string& path) {
    struct stat root {};
    struct stat place {};
    return ::stat("/", &root) == 0 && ::stat(path.c_str(), &place) == 0 &&
           root.st_dev != place.st_dev;
}

Task<Result<void>> run(Processes& processes, std::vector<std::string> argv, std::string input,
                       Milliseconds limit) {
    Command command;
    const std::string program = argv.front();
    command.argv = std::move(argv);
    command.input = std::move(input);
    command.limit = limit;
    auto running = processes.run(std::move(command));
    QVD_CO_TRY(const Outcome outcome, co_await std::move(running));
    if (!outcome.ok())
        co_return Error{ErrorKind::unavailable, "vma.home", outcome.sentence(program)};
    co_return Result<void>{};
}

// Low-level: looks at the device itself. "" if nothing at all is on it.
Task<Result<std::string>> content_of(Processes& processes, std::string device) {
    Command command;
    command.argv = {"blkid", "-p", "-o", "export", device};
    auto running = processes.run(std::move(command));
    QVD_CO_TRY(Outcome outcome, co_await std::move(running));
    if (outcome.ok()) co_return std::move(outcome.output);
    // blkid's word for "I found nothing that I know", as opposed to "ambivalent" (8) or an error
    // (4).
    if (!outcome.out_of_time && WIFEXITED(outcome.wait_status) &&
        WEXITSTATUS(outcome.wait_status) == 2)
        co_return std::string{};
    co_return Error{ErrorKind::unavailable, "vma.home", outcome.sentence("blkid " + device)};
}

constexpr Milliseconds quick{30'000};
constexpr Milliseconds formatting{1'800'000};

}  // namespace

std::string first_partition_of(std::string_view drive) {
    const bool ends_in_digit = !drive.empty() && drive.back() >= '0' && drive.back() <= '9';
    return std::string(drive) + (ends_in_digit ? "p1" : "1");
}

Task<Result<void>> mount_home_drive(Processes& processes, const Settings& settings) {
    if (settings.home_drive.empty() || !is_block_device(settings.home_drive) ||
        is_apart_from_root(settings.home_path))
        co_return Result<void>{};
    QVD_CO_CHECK(file::make_folders(settings.home_path));
    auto whole = content_of(processes, settings.home_drive);
    QVD_CO_TRY(const std::string on_drive, co_await std::move(whole));
    // A file system without a partition table is taken as it is.
    const bool unpartitioned = on_drive.find("USAGE=filesystem") != std::string::npos;
    const std::string device =
        unpartitioned ? settings.home_drive : first_partition_of(settings.home_drive);
    if (on_drive.empty()) {
        log::info("vma.home.partition", {{"drive", settings.home_drive}}, "the disk is blank");
        std::vector<std::string> argv{"sfdisk", "--quiet", settings.home_drive};
        auto partitioning = run(processes, std::move(argv), "label: gpt\n,\n", quick);
        QVD_CO_CHECK(co_await std::move(partitioning));
    }
    auto part = content_of(processes, device);
    QVD_CO_TRY(const std::string on_partition, co_await std::move(part));
    if (on_partition.find("USAGE=filesystem") == std::string::npos) {
        log::info("vma.home.format", {{"partition", device}, {"fs", settings.home_fs}}, "");
        std::vector<std::string> argv{"mkfs." + settings.home_fs, device};
        auto making = run(processes, std::move(argv), "", formatting);
        QVD_CO_CHECK(co_await std::move(making));
    }
    std::vector<std::string> argv{"mount", device, settings.home_path};
    auto mounting = run(processes, std::move(argv), "", quick);
    QVD_CO_CHECK(co_await std::move(mounting));
    log::info("vma.home.mounted", {{"partition", device}, {"at", settings.home_path}}, "");
    co_return Result<void>{};
}

}  // namespace qvd::vma
