#include "image/build.hpp"

#include "base/file.hpp"
#include "base/program.hpp"
#include "base/text.hpp"
#include "image/command.hpp"
#include "image/disk.hpp"
#include "image/work_folder.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <filesystem>
#include <optional>

namespace qvd::image {
namespace {

struct Ending {
    const char* text;
    const char* program;  // what compresses or converts; empty: nothing
    bool is_disk = false;
};
constexpr std::array endings{
    Ending{".tar.zst", "zstd"}, Ending{".tar.gz", "gzip"},          Ending{".tar.xz", "xz"},
    Ending{".tar", ""},         Ending{".qcow2", "qemu-img", true}, Ending{".raw", "", true}};

Error failure(const std::string& code, const std::string& sentence) {
    return {ErrorKind::unavailable, "image." + code, sentence};
}

Result<Ending> ending_of(const std::string& output) {
    for (const Ending& ending : endings)
        if (output.ends_with(ending.text)) return ending;
    return Error{ErrorKind::invalid, "image.output",
                 output +
                     " must end in .tar.zst, .tar.gz, .tar.xz or .tar (for containers), or in "
                     ".qcow2 or .raw (for virtual machines)"};
}

// The package of a program that is not called like it.
std::string package_of(const std::string& tool) {
    if (tool == "xz") return "xz-utils";
    if (tool == "qemu-img") return "qemu-utils";
    return tool == "mkfs.ext4" ? "e2fsprogs" : tool;
}

Result<void> check_tools(const Ending& ending) {
    for (const std::string tool :
         {"mmdebstrap", "tar", ending.program, ending.is_disk ? "mkfs.ext4" : ""})
        if (!tool.empty() && !program::is_there(tool))
            return failure("tool", tool + " is not installed: apt-get install " + package_of(tool));
    if (ending.is_disk && ::geteuid() != 0)
        return failure("tool",
                       "a disk for virtual machines is built by root: its files have "
                       "owners");
    return {};
}

std::string source_date() {
    const char* given = std::getenv("SOURCE_DATE_EPOCH");  // NOLINT(concurrency-mt-unsafe)
    if (given != nullptr) return given;
    constexpr std::time_t day = 86400;
    const std::time_t now = std::time(nullptr);
    return std::to_string(now - now % day);
}

// What is said of a line of mmdebstrap, apt or dpkg, if it is a known complaint.
std::optional<Error> known_complaint(const std::string& line, const Recipe& recipe) {
    if (line.find("No space left on device") != std::string::npos)
        return failure("no_space", "the disk became full while the image was built: " + line);
    for (const std::string_view sign :
         {"Could not resolve", "Temporary failure resolving", "Could not connect",
          "Connection failed", "Unable to connect", "Failed to fetch", "Network is unreachable"})
        if (line.find(sign) != std::string::npos)
            return failure("network", "the packages cannot be fetched: " + line +
                                          " (is the network up? `mirrors` in the recipe, or "
                                          "--mirror, names another source)");
    if (line.find("Unable to locate package") != std::string::npos ||
        line.find("has no installation candidate") != std::string::npos)
        return Error{ErrorKind::not_found, "image.package",
                     line.substr(line.starts_with("E: ") ? 3 : 0) + " in the release " +
                         recipe.suite + ", which the recipe " + recipe.name + " names"};
    return std::nullopt;
}

// The sentence for what they complained about: the last error, or whatever was said last.
Error complaint(const std::deque<std::string>& lines, const Recipe& recipe) {
    std::string error;
    std::string last = "mmdebstrap failed without a word";
    for (const std::string& line : lines) {
        if (auto known = known_complaint(line, recipe)) return *known;
        if (!line.empty()) last = line;
        if (line.starts_with("E: ") && !line.starts_with("E: run_chroot") &&
            !line.starts_with("E: mmdebstrap failed"))
            error = line.substr(3);
    }
    return failure("build", "the image cannot be built: " + (error.empty() ? last : error));
}

// One image on its way.
class Build {
public:
    Build(const Recipe& recipe, const BuildSettings& settings, const Ending& ending,
          const BuildProgress& progress)
        : recipe_(recipe),
          settings_(settings),
          ending_(ending),
          steps_(ending.is_disk, steps_after(ending), progress) {}

    Result<BuiltImage> run();

private:
    static int steps_after(const Ending& ending) {
        if (!ending.is_disk) return 0;
        return *ending.program == '\0' ? 1 : 2;
    }
    Result<void> run_mmdebstrap(const WorkFolder& work, const std::string& target);
    Result<std::string> build_in(const WorkFolder& work);

    const Recipe& recipe_;
    const BuildSettings& settings_;
    const Ending& ending_;
    BuildSteps steps_;
};

Result<void> Build::run_mmdebstrap(const WorkFolder& work, const std::string& target) {
    // Complaints come last.
    std::deque<std::string> said;
    const auto hear = [&](const std::string& line) {
        constexpr std::size_t most = 5000;
        steps_.hear(line);
        said.push_back(line);
        if (said.size() > most) said.pop_front();
    };
    Command command{mmdebstrap_arguments(recipe_, work.file("complete.sh"), target),
                    {{"SOURCE_DATE_EPOCH", source_date()},
                     {"LC_ALL", "C.UTF-8"},
                     {"DEBIAN_FRONTEND", "noninteractive"}}};
    command.stop_fd = settings_.stop_fd;
    command.apart = ::geteuid() == 0;
    // Others than root build as users whose files only mmdebstrap can delete.
    if (command.apart) command.environment["TMPDIR"] = work.path();
    QVD_TRY(const int status, run_command(command, hear));
    if (status != 0) return complaint(said, recipe_);
    return {};
}

// The image's file in `work`.
Result<std::string> Build::build_in(const WorkFolder& work) {
    std::string image = work.file("image" + std::string(ending_.text));
    const std::string target = ending_.is_disk ? work.file("root") : image;
    QVD_CHECK(run_mmdebstrap(work, target));
    const auto begin = [this](const std::string& step) { steps_.begin(step); };
    if (ending_.is_disk)
        QVD_CHECK(make_disk({target, image, work.path(), settings_.stop_fd}, begin));
    return image;
}

Result<BuiltImage> Build::run() {
    QVD_TRY(const std::string script, completion_script(recipe_, settings_.parts));
    const std::filesystem::path output = std::filesystem::absolute(settings_.output);
    // Beside the image, so that the last step is a rename.
    QVD_TRY(const WorkFolder work, WorkFolder::make(output.parent_path().string()));
    QVD_CHECK(file::write_atomic(work.file("complete.sh"), script, 0700));
    QVD_TRY(const std::string image, build_in(work));
    std::error_code problem;
    const auto bytes = std::filesystem::file_size(image, problem);
    if (problem) return failure("build", "mmdebstrap left no image behind");
    if (std::rename(image.c_str(), output.c_str()) != 0)
        return errno_error("image.output", "cannot write " + output.string());
    return BuiltImage{output.string(), static_cast<std::int64_t>(bytes)};
}

}  // namespace

Result<std::string> image_ending(const std::string& name) {
    QVD_TRY(const Ending ending, ending_of(name));
    return std::string(ending.text);
}

Result<BuiltImage> build(const Recipe& recipe, const BuildSettings& settings,
                         const BuildProgress& progress) {
    QVD_TRY(const Ending ending, ending_of(settings.output));
    QVD_CHECK(check_tools(ending));
    if (!ending.is_disk) return Build(recipe, settings, ending, progress).run();
    QVD_TRY(const Recipe machine, for_machines(recipe));
    return Build(machine, settings, ending, progress).run();
}

}  // namespace qvd::image
