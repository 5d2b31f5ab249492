// The suite for hypervisors itself: a backend that does all right passes, and each that does one
// thing wrong is told so.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace fs = std::filesystem;

namespace {

struct Run {
    int exit_code = -1;
    std::string output;
};

struct Bench {
    Bench() {
        std::string name = (fs::temp_directory_path() / "qvd-trial-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        std::ofstream(folder + "/image") << "an image\n";
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;
    ~Bench() { fs::remove_all(folder); }

    Run run(const std::string& flaw, const std::string& more = "") const {
        std::ofstream(folder + "/plan") << "folder = " << folder << "/trial\nimage = " << folder
                                        << "/image\nimage.format = raw\npatience = 2\n"
                                           "stop.patience = 2\nset.sleeper.flaw = "
                                        << flaw << "\n"
                                        << more;
        FILE* const pipe =
            ::popen((CHECK_PROGRAM " " SLEEPER " --trial " + folder + "/plan 2>&1").c_str(), "r");
        REQUIRE(pipe != nullptr);
        Run done;
        std::array<char, 4096> buffer{};
        for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
            done.output.append(buffer.data(), got);
        const int status = ::pclose(pipe);
        done.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        return done;
    }

    std::string folder;
};

struct Flaw {
    const char* name;
    const char* sentence;
};

}  // namespace

TEST_CASE("a backend that does all that a node asks of it passes") {
    const Bench bench;
    const Run run = bench.run("none");
    CHECK_MESSAGE(run.exit_code == 0, run.output);
    CHECK(run.output.find("(checked up to the level hypervisor)") != std::string::npos);
}

TEST_CASE("a backend that does one thing wrong is told which") {
    const Bench bench;
    constexpr Flaw flaws[] = {
        {"forgets", "life: survey() does not find a VM that runs"},
        {"twice", "life: a repeated start() of the incarnation that runs starts it once more"},
        {"mute", "life: nothing is reported (qvd_vm_events_service) after stop()"},
        {"calm", "crash of the guest: a VM whose process was killed is reported as stopped"},
        {"leaves", "repeat: after destroy_vm() state() says running"},
        {"swallows", "image: neither prepare_image() nor start() refuses a file that is no image"},
        {"light", "figures: usage() says that a VM that runs uses no memory"},
        {"amnesia",
         "crash of the core: survey() does not find a VM that an earlier core left running"}};
    for (const Flaw& flaw : flaws) {
        CAPTURE(flaw.name);
        const Run run = bench.run(flaw.name);
        CHECK(run.exit_code == 9);
        CHECK_MESSAGE(
            run.output.find(std::string("hypervisor: ") + flaw.sentence) != std::string::npos,
            run.output);
        static_cast<void>(bench.run("none"));  // takes away what it left
    }
}

TEST_CASE("a trial that says nothing sensible is refused before anything runs") {
    const Bench bench;
    Run run = bench.run("none", "vms = many\n");
    CHECK(run.exit_code == 2);
    CHECK(run.output.find("vms cannot be \"many\"") != std::string::npos);
    run = bench.run("none", "vmz = 3\n");
    CHECK(run.exit_code == 2);
    CHECK(run.output.find("there is no \"vmz\"") != std::string::npos);
}
