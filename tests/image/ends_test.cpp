// However a build ends: nothing of it is left.
#include "image/build.hpp"
#include "image/command.hpp"
#include "image/work_folder.hpp"
#include "tests/image/folder.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <thread>

using namespace qvd::image;
using qvd::image::test::Folder;
using qvd::image::test::Path;

namespace {

bool comes_true(const std::function<bool()>& condition) {
    const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > last) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

// Whether a process runs that was started with `word`.
bool runs(const std::string& word) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
        std::ifstream file(entry.path() / "cmdline", std::ios::binary);
        const std::string line((std::istreambuf_iterator<char>(file)), {});
        if (line.find(word) != std::string::npos) return true;
    }
    return false;
}

bool is_mounted(const std::string& folder) {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; std::getline(mounts, line);)
        if (line.find(folder) != std::string::npos) return true;
    return false;
}

// An mmdebstrap that mounts something, leaves a process behind and takes an hour.
struct Endless {
    Folder folder;
    Path path{folder.path()};
    std::string sleeper = "36" + std::to_string(::getpid());

    Endless() {
        folder.program("mmdebstrap",
                       "mkdir -p $TMPDIR/root/proc && mount -t proc none $TMPDIR/root/proc\n"
                       "setsid sleep " +
                           sleeper +
                           " &\n"
                           "echo 'I: running apt-get update...'\n"
                           "sleep " +
                           sleeper + "\n");
    }
    [[nodiscard]] qvd::Result<BuiltImage> build(int stop_fd, const BuildProgress& progress) const {
        Recipe recipe;
        recipe.suite = "bookworm";
        return qvd::image::build(recipe, {folder.path("x.tar.gz"), {}, stop_fd}, progress);
    }
    [[nodiscard]] bool nothing_is_left() const {
        return folder.names() == std::vector<std::string>{"mmdebstrap"} &&
               !is_mounted(folder.path()) && !runs(sleeper);
    }
};

}  // namespace

TEST_CASE("a build that is stopped leaves no file, no mount and no process" *
          doctest::test_suite("needs root")) {
    if (::geteuid() != 0) return qvd::test::skip("only root builds with mounts of its own");
    const Endless endless;
    std::array<int, 2> stop{};
    REQUIRE(::pipe(stop.data()) == 0);
    const auto built = endless.build(stop[0], [&](const BuildStep&) {
        CHECK(comes_true([&] { return runs(endless.sleeper); }));
        CHECK_FALSE(is_mounted(endless.folder.path()));
        CHECK(::write(stop[1], "x", 1) == 1);
    });
    CHECK(built.error().code() == "stopped");
    CHECK(comes_true([&] { return endless.nothing_is_left(); }));
    ::close(stop[0]);
    ::close(stop[1]);
}

TEST_CASE("a build that is killed leaves no file, no mount and no process" *
          doctest::test_suite("needs root")) {
    if (::geteuid() != 0) return qvd::test::skip("only root builds with mounts of its own");
    const Endless endless;
    const pid_t builder = ::fork();
    REQUIRE(builder >= 0);
    if (builder == 0) {
        (void)endless.build(-1, {});
        ::_exit(0);
    }
    CHECK(comes_true([&] { return runs(endless.sleeper); }));
    CHECK(endless.folder.names().size() == 2);
    ::kill(builder, SIGKILL);
    ::waitpid(builder, nullptr, 0);
    CHECK(comes_true([&] { return endless.nothing_is_left(); }));
}

TEST_CASE("a work folder goes, and what an earlier one left, but not what is used") {
    const Folder folder;
    std::filesystem::create_directories(folder.path(".qvd-image-old/deep"));
    std::filesystem::create_directories(folder.path("other"));
    const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
    std::filesystem::last_write_time(folder.path(".qvd-image-old"), long_ago);
    {
        const auto first = WorkFolder::make(folder.path());
        REQUIRE(first.ok());
        std::filesystem::last_write_time(first->path(), long_ago);
        const auto second = WorkFolder::make(folder.path());
        CHECK(WorkFolder::make(second->path()).ok());
        REQUIRE(second.ok());
        std::ofstream(second->file("x")) << "x";
        CHECK(std::filesystem::is_directory(first->path()));
        CHECK_FALSE(std::filesystem::exists(folder.path(".qvd-image-old")));
    }
    CHECK(folder.names() == std::vector<std::string>{"other"});
    CHECK(WorkFolder::make(folder.path("gone")).error().code() == "image.output");
}

TEST_CASE("who builds without root is asked to end, and may tidy up") {
    const Folder folder;
    std::array<int, 2> stop{};
    REQUIRE(::pipe(stop.data()) == 0);
    Command command{{folder.program("tidy", "trap 'echo tidied >" + folder.path("tidied") +
                                                "; exit 1' TERM\necho here\nsleep 3600 & wait\n")}};
    command.stop_fd = stop[0];
    const auto status =
        run_command(command, [&](const std::string&) { CHECK(::write(stop[1], "x", 1) == 1); });
    CHECK(status.error().code() == "stopped");
    CHECK(std::filesystem::exists(folder.path("tidied")));
    ::close(stop[0]);
    ::close(stop[1]);
}
