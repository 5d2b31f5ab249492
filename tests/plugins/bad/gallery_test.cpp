// The gallery of plugins that are each wrong in one way: qvd-plugin-check refuses each with its own
// sentence and exit code.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <set>
#include <string>

namespace {

struct Run {
    int exit_code = -1;
    std::string output;
};

Run run(const std::string& arguments) {
    FILE* const pipe = ::popen((CHECK_PROGRAM " " + arguments + " 2>&1").c_str(), "r");
    REQUIRE(pipe != nullptr);
    Run done;
    std::array<char, 4096> buffer{};
    for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
        done.output.append(buffer.data(), got);
    const int status = ::pclose(pipe);
    done.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return done;
}

std::string file_of(const std::string& name) {
    return GALLERY "/qvd-" + name + ".so";
}

struct Bad {
    const char* name;
    int exit_code;
    const char* sentence;  // what follows "FILE: "
};

const Bad gallery[] = {
    {"no-entry", 3,
     "file: " GALLERY "/qvd-no-entry.so exports no qvd_plugin_v1: it is not a QVD plugin"},
    {"extra-symbol", 3, "file: the file exports my_helper besides qvd_plugin_v1"},
    {"undefined-symbol", 4, "undefined symbol: left_out_of_the_link"},
    {"null-manifest", 5, "qvd_plugin_v1() returned no manifest"},
    {"short-manifest", 5, "the manifest is 48 bytes, the shortest that was ever valid is"},
    {"wrong-major", 5, "it was built for plugin ABI 2, this core speaks 1"},
    {"wrong-draft", 5, "this core is draft 2: rebuild it"},
    {"other-name", 5,
     R"(the file promises "other-name" but the plugin calls itself "something-else")"},
    {"twice", 5, "it offers the interface qvd.draft.load-balancer/1 twice"},
    {"no-choose", 5, "its interface qvd.draft.load-balancer/1 lacks choose()"},
    {"bad-stride", 5, "the manifest's list of interfaces is malformed (count 1, stride 8)"},
    {"bad-default", 5,
     "the default of its key bad.count: bad.count: \"12\" will not do; it must be at most 9"},
    {"core-key", 5,
     "it declares a key of the core's in its own way: key \"l7r.port\" cannot be declared: it is "
     "declared already, as a whole number with the default \"8443\""},
    {"pending-create", 6,
     "life: the balancer's create() answers QVD_PENDING; it must make the instance before it "
     "returns"},
    {"no-instance", 6,
     "life: the balancer's create() answers QVD_OK without having written its instance"},
    {"silent-failure", 6, "life: the balancer's create() fails with status -3 and no sentence"},
    {"crash", 6, "life: the plugin crashes in create() of the balancer (signal SIGSEGV)"},
    {"hang", 6, "life: the plugin hangs in create() of the balancer: no end after 2 s"},
    {"exits", 6, "life: the plugin ends the process in create() of the balancer with status 3"},
    {"throws", 6, "life: an exception crosses the ABI: no licence"},
    {"leaks-file", 6, "life: the balancer leaves 100 files open after 100 lives"},
    {"leaks-thread", 6, "life: the balancer leaves 100 threads running after destroy()"},
    {"undeclared-key", 6,
     "life: the balancer reads the configuration key bad.secret, which it does not declare"},
    {"needs-service", 7,
     "core: the plugin crashes in create() of the balancer under a core without "
     "qvd.draft.core.inventory/1"},
    {"out-of-range", 8, "balancer: the balancer's choose() chooses node 1 of 1"},
    {"own-stride", 8, "balancer: the balancer's choose() chooses node "},
    {"no-choice", 8, "balancer: the balancer's choose() answers QVD_OK without a choice"},
    {"completes-twice", 8, "balancer: the balancer's choose() completes one call twice"},
    {"never-completes", 8,
     "balancer: the balancer's choose() answers QVD_PENDING and never completes"},
};

}  // namespace

TEST_CASE("each bad plugin is refused with its own sentence and the exit code of its level") {
    for (const Bad& bad : gallery) {
        CAPTURE(bad.name);
        const Run checked = run("--timeout 2 " + file_of(bad.name));
        CAPTURE(checked.output);
        CHECK(checked.exit_code == bad.exit_code);
        CHECK(checked.output.starts_with(file_of(bad.name) + ": "));
        CHECK(checked.output.find(bad.sentence) != std::string::npos);
        // One mistake, one sentence.
        CHECK(checked.output.find('\n') == checked.output.size() - 1);
    }
}

TEST_CASE("what the bad plugins are beside their mistake keeps the rules") {
    const Run checked = run(file_of("good"));
    CHECK(checked.exit_code == 0);
    CHECK(checked.output ==
          file_of("good") + ": keeps the rules (checked up to the level balancer)\n");
}

TEST_CASE("the check goes no further than it is asked to") {
    CHECK(run("--level manifest " + file_of("crash")).exit_code == 0);
    CHECK(run("--level life " + file_of("out-of-range")).exit_code == 0);
    CHECK(run("--level nonsense " + file_of("good")).exit_code == 2);
    CHECK(run("--timeout 0 " + file_of("good")).exit_code == 2);
    CHECK(run("").exit_code == 2);
    CHECK(run("/no/such/file.so").exit_code == 3);
}

TEST_CASE("the report is also there as JSON") {
    const Run bad = run("--json " + file_of("no-choose"));
    CHECK(bad.exit_code == 5);
    CHECK(bad.output.find("\"exit_code\":5") != std::string::npos);
    CHECK(bad.output.find("\"severity\":\"error\"") != std::string::npos);
    CHECK(bad.output.find("lacks choose()") != std::string::npos);
    const Run good = run("--json --dump " + file_of("good"));
    CHECK(good.output.find("\"findings\":[]") != std::string::npos);
    CHECK(good.output.find("qvd.draft.load-balancer/1 (balancer)") != std::string::npos);
}

TEST_CASE("the keys are printed as a manual, and can be given other values") {
    const Run keys = run("--keys " + file_of("good"));
    CHECK(keys.exit_code == 0);
    CHECK(
        keys.output ==
        "Keys of the plugin good 1.0.0\n\nbad.count\n    A number.\n    It is a whole number, 1 to "
        "9; default: 3.\n");
    CHECK(run("--set nonsense " + file_of("good")).exit_code == 2);
    CHECK(run("--set bad.count=4 " + file_of("good")).exit_code == 0);
}
