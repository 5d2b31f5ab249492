#include "image/build.hpp"

#include "base/file.hpp"
#include "base/program.hpp"
#include "base/text.hpp"
#include "image/command.hpp"
#include "image/disk.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>

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

// A folder that goes with everything in it.
class WorkFolder {
public:
    static Result<WorkFolder> make(const std::filesystem::path& beside) {
        std::string path = (beside / ".qvd-image-XXXXXX").string();
        if (::mkdtemp(path.data()) == nullptr)
            return errno_error("image.output", "cannot write in " + beside.string());
        return WorkFolder{path};
    }
    WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    WorkFolder& operator=(WorkFolder&&) = delete;
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    ~WorkFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    explicit WorkFolder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

std::string source_date() {
    const char* given = std::getenv("SOURCE_DATE_EPOCH");  // NOLINT(concurrency-mt-unsafe)
    if (given != nullptr) return given;
    constexpr std::time_t day = 86400;
    const std::time_t now = std::time(nullptr);
    return std::to_string(now - now % day);
}

// The sentence for what mmdebstrap and apt complained about.
Error complaint(const std::vector<std::string>& lines) {
    std::string last = "mmdebstrap failed without a word";
    for (const std::string& line : lines) {
        for (const std::string_view sign :
             {"Could not resolve", "Temporary failure resolving", "Could not connect",
              "Connection failed", "Unable to connect", "Failed to fetch",
              "Network is unreachable"})
            if (line.find(sign) != std::string::npos)
                return failure("network", "the packages cannot be fetched: " + line +
                                              " (is the network up? `mirrors` in the recipe, or "
                                              "--mirror, names another source)");
        if (line.find("Unable to locate package") != std::string::npos ||
            line.find("has no installation candidate") != std::string::npos)
            return Error{ErrorKind::not_found, "image.package", line};
        if (line.starts_with("E: ") && !line.starts_with("E: run_chroot") &&
            !line.starts_with("E: mmdebstrap failed"))
            last = line.substr(3);
    }
    return failure("build", "the image cannot be built: " + last);
}

Result<void> run_mmdebstrap(std::vector<std::string> arguments, const BuildProgress& progress) {
    std::vector<std::string> said;
    const auto hear = [&](const std::string& line) {
        // Its own steps; apt's and dpkg's chatter only matters when something fails.
        if ((line.starts_with("I: ") || line.starts_with("W: ")) && progress)
            progress(line.substr(3));
        constexpr std::size_t most = 5000;
        if (said.size() < most) said.push_back(line);
    };
    QVD_TRY(const int status, run_command({std::move(arguments),
                                           {{"SOURCE_DATE_EPOCH", source_date()},
                                            {"LC_ALL", "C.UTF-8"},
                                            {"DEBIAN_FRONTEND", "noninteractive"}}},
                                          hear));
    if (status != 0) return complaint(said);
    return {};
}

void tell_step(const BuildProgress& progress, const std::string& line) {
    if (line.starts_with("I: ") && progress) progress(line.substr(3));
}

// Into `work`; the image's file there.
Result<std::string> build_in(const WorkFolder& work, const Recipe& recipe, const Ending& ending,
                             const BuildProgress& progress) {
    std::string image = work.file("image" + std::string(ending.text));
    const std::string target = ending.is_disk ? work.file("root") : image;
    QVD_CHECK(
        run_mmdebstrap(mmdebstrap_arguments(recipe, work.file("complete.sh"), target), progress));
    const auto tell = [&progress](const std::string& line) { tell_step(progress, line); };
    if (ending.is_disk) QVD_CHECK(make_disk({target, image, work.file("")}, tell));
    return image;
}

Result<BuiltImage> build_ending(const Recipe& recipe, const Ending& ending,
                                const BuildSettings& settings, const BuildProgress& progress) {
    QVD_TRY(const std::string script, completion_script(recipe, settings.parts));
    const std::filesystem::path output = std::filesystem::absolute(settings.output);
    // Beside the image, so that the last step is a rename.
    QVD_TRY(const WorkFolder work, WorkFolder::make(output.parent_path()));
    QVD_CHECK(file::write_atomic(work.file("complete.sh"), script, 0700));
    QVD_TRY(const std::string image, build_in(work, recipe, ending, progress));
    std::error_code problem;
    const auto bytes = std::filesystem::file_size(image, problem);
    if (problem) return failure("build", "mmdebstrap left no image behind");
    if (std::rename(image.c_str(), output.c_str()) != 0)
        return errno_error("image.output", "cannot write " + output.string());
    return BuiltImage{output.string(), static_cast<std::int64_t>(bytes)};
}

}  // namespace

Result<BuiltImage> build(const Recipe& recipe, const BuildSettings& settings,
                         const BuildProgress& progress) {
    QVD_TRY(const Ending ending, ending_of(settings.output));
    QVD_CHECK(check_tools(ending));
    if (!ending.is_disk) return build_ending(recipe, ending, settings, progress);
    QVD_TRY(const Recipe machine, for_machines(recipe));
    return build_ending(machine, ending, settings, progress);
}

}  // namespace qvd::image
