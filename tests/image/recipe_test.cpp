#include "image/recipe.hpp"

#include "image/build.hpp"
#include "image/command.hpp"
#include "image/disk.hpp"
#include "tests/image/folder.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace qvd::image;
using qvd::image::test::Folder;
using qvd::image::test::Path;

namespace {

std::string content_of(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

qvd::Result<Recipe> recipe_of(const std::string& text) {
    const Folder folder;
    return read_recipe(folder.write("r.yaml", text));
}

std::string sentence_of(const std::string& text) {
    const auto recipe = recipe_of(text);
    REQUIRE_FALSE(recipe.ok());
    return recipe.error().sentence();
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

const std::string least = "format: 1\nname: small\nsuite: bookworm\n";

}  // namespace

TEST_CASE("the recipes that are shipped are good ones, for containers and virtual machines") {
    for (const std::string name : {"debian-base", "debian-minimal", "debian-lxde"}) {
        CAPTURE(name);
        const auto recipe = read_recipe(QVD_SOURCE_DIR "/etc/images/" + name + ".yaml");
        REQUIRE_MESSAGE(recipe.ok(), recipe.error().sentence());
        CHECK(recipe->name == name);
        CHECK(completion_script(*recipe, {"/x/qvd-vma", "/x/init"}).ok());
        CHECK(completion_script(*for_machines(*recipe), {"/x/qvd-vma", "/x/init"}).ok());
        const bool desktop = std::ranges::any_of(
            recipe->files, [](const auto& f) { return f.path == "/etc/qvd/session"; });
        CHECK(desktop == (name != "debian-base"));
    }
}

TEST_CASE("a recipe that extends another one says only what differs") {
    const Folder folder;
    folder.write("base.yaml",
                 least +
                     "packages: [a]\n"
                     "locale: de_DE.UTF-8\n"
                     "mirrors: [one]\n"
                     "links: {/sbin/halt: init, /etc/mtab: /proc/mounts}\n"
                     "files: {/etc/motd: {text: x}}\n"
                     "run: [one]\n"
                     "machine: {packages: [kernel], files: {/etc/fstab: {text: x}}}\n");
    const auto recipe = read_recipe(folder.write("r.yaml",
                                                 "format: 1\nextends: base.yaml\nname: mine\n"
                                                 "packages: [b]\n"
                                                 "mirrors: [two]\n"
                                                 "links: {/etc/motd: /run/motd}\n"
                                                 "files: {/etc/mtab: {text: y}}\n"
                                                 "run: [two]\n"
                                                 "machine: {packages: [systemd]}\n"));
    REQUIRE_MESSAGE(recipe.ok(), recipe.error().sentence());
    CHECK(recipe->name == "mine");
    CHECK(recipe->suite == "bookworm");
    CHECK(recipe->locale == "de_DE.UTF-8");
    CHECK(recipe->mirrors == std::vector<std::string>{"two"});
    CHECK(recipe->packages == std::vector<std::string>{"a", "b"});
    CHECK(recipe->commands == std::vector<std::string>{"one", "two"});
    REQUIRE(recipe->links.size() == 2);
    CHECK(recipe->links[1].path == "/etc/motd");
    REQUIRE(recipe->files.size() == 1);
    CHECK(recipe->files[0].path == "/etc/mtab");
    REQUIRE(recipe->machine.has_value());
    CHECK(recipe->machine->packages == std::vector<std::string>{"kernel", "systemd"});
    CHECK(recipe->machine->files.size() == 1);

    const auto sentence = [&](const std::string& content) {
        const auto wrong = read_recipe(folder.write("w.yaml", content));
        return wrong.ok() ? "" : wrong.error().code() + " " + wrong.error().sentence();
    };
    const std::string begin = "format: 1\nname: mine\n";
    CHECK(contains(sentence(begin + "extends: gone.yaml\n"), "w.yaml:3: there is no readable"));
    CHECK(contains(sentence(begin + "extends: w.yaml\n"), "w.yaml:3: "));
    CHECK(contains(sentence(begin + "extends: w.yaml\n"), "would extend itself"));
    folder.write("bad.yaml", least + "pakages: [a]\n");
    CHECK(contains(sentence(begin + "extends: bad.yaml\n"), "bad.yaml:4: there is no key"));
    folder.write("bad.yaml", "a: [\n");
    CHECK(contains(sentence(begin + "extends: bad.yaml\n"), "recipe.syntax "));
    CHECK(contains(sentence(begin + "extends: bad.yaml\n"), "bad.yaml:2: "));
}

TEST_CASE("a recipe says what goes into the image") {
    const Folder folder;
    folder.write("conf", "x");
    const auto recipe =
        read_recipe(folder.write("r.yaml", least + "packages: [a, b]\n"
                                                   "locale: de_DE.UTF-8\n"
                                                   "folders: {/var/lib/xkb: 1777}\n"
                                                   "links: {/sbin/halt: init}\n"
                                                   "files:\n"
                                                   "  /etc/conf: {from: conf}\n"
                                                   "  /sbin/init: {from: '@init@', mode: 755}\n"
                                                   "  /etc/motd: {text: \"it's\"}\n"
                                                   "run: [\"true\"]\n"));
    REQUIRE_MESSAGE(recipe.ok(), recipe.error().sentence());
    CHECK(recipe->packages == std::vector<std::string>{"a", "b"});
    CHECK(recipe->folders.front().mode == "1777");
    CHECK(recipe->links.front().target == "init");
    REQUIRE(recipe->files.size() == 3);
    CHECK(recipe->files[0].content == folder.path("conf"));
    CHECK(recipe->files[1].source == RecipeFile::Source::init);
    CHECK(recipe->files[2].mode == "644");
}

TEST_CASE("a disk for virtual machines has what the recipe says of both, its own first") {
    const auto recipe = recipe_of(least +
                                  "packages: [a]\n"
                                  "links: {/sbin/halt: init, /etc/mtab: /proc/mounts}\n"
                                  "files: {/sbin/init: {text: small}, /etc/motd: {text: x}}\n"
                                  "run: [one]\n"
                                  "machine:\n"
                                  "  packages: [systemd]\n"
                                  "  links: {/sbin/init: systemd, /sbin/halt: systemctl}\n"
                                  "  files: {/etc/motd: {text: y}, /etc/mtab: {text: z}}\n"
                                  "  run: [two]\n");
    REQUIRE_MESSAGE(recipe.ok(), recipe.error().sentence());
    CHECK(recipe->packages == std::vector<std::string>{"a"});
    const auto disk = for_machines(*recipe);
    REQUIRE(disk.ok());
    CHECK(disk->packages == std::vector<std::string>{"a", "systemd"});
    CHECK(disk->commands == std::vector<std::string>{"one", "two"});
    REQUIRE(disk->links.size() == 2);
    CHECK(disk->links[0].path == "/sbin/init");
    CHECK(disk->links[1].target == "systemctl");
    REQUIRE(disk->files.size() == 2);
    CHECK(disk->files[0].content == "y");
    CHECK(disk->files[1].path == "/etc/mtab");
    CHECK(contains(sentence_of(least + "machine: {locale: x}\n"), "there is no key \"locale\""));
    CHECK(for_machines(*recipe_of(least)).error().code() == "recipe.key");
}

TEST_CASE("a disk begins with GRUB's code and one partition") {
    const auto head = boot_sector(std::string(512, 'G'), 2048, 0x01020304);
    REQUIRE(head.ok());
    REQUIRE(head->size() == 512);
    CHECK(head->substr(0, 440) == std::string(440, 'G'));
    CHECK(head->substr(446, 1) == "\x80");
    CHECK(head->substr(450, 1) == "\x83");
    CHECK(head->substr(454, 8) == std::string("\x00\x08\x00\x00\x04\x03\x02\x01", 8));
    CHECK(head->substr(510) == "\x55\xaa");
    CHECK(boot_sector("short", 1, 1).error().code() == "image.boot");
}

TEST_CASE("a disk without anything to start from is not made") {
    const Folder folder;
    std::filesystem::create_directories(folder.path("root/boot/grub"));
    const auto made =
        make_disk({folder.path("root"), folder.path("x.raw"), folder.path()}, [](const auto&) {});
    CHECK(made.error().code() == "image.boot");
    CHECK(contains(made.error().sentence(), "/boot/grub/boot.img"));
}

TEST_CASE("a mistake in a recipe is told with file, line and a way out") {
    CHECK(contains(sentence_of(least + "pakages: [a]\n"),
                   "r.yaml:4: there is no key \"pakages\"; did you mean \"packages\"?"));
    CHECK(contains(sentence_of("format: 1\nsuite: x\n"), "\"name\" is missing"));
    CHECK(contains(sentence_of("format: 2\nname: x\nsuite: x\n"), "r.yaml:1"));
    CHECK(contains(sentence_of(least + "packages: many\n"), "packages must be a list"));
    CHECK(contains(sentence_of(least + "folders: {/x: rwx}\n"), "\"rwx\" is no mode"));
    CHECK(contains(sentence_of(least + "links: {x: y}\n"), "\"x\" is no absolute path"));
    CHECK(contains(sentence_of(least + "links: {/a/../b: y}\n"), "no absolute path"));
    CHECK(contains(sentence_of(least + "files: {/x: {}}\n"), "either `from` or `text`"));
    CHECK(
        contains(sentence_of(least + "files: {/x: {from: gone}}\n"), "there is no readable file"));
    CHECK(contains(sentence_of("format: 1\nname: a b\nsuite: x\n"), "not \"a b\""));
    CHECK(contains(sentence_of("a: [\n"), "r.yaml:2"));
    CHECK(contains(sentence_of("just text"), "a recipe is a list of"));
    CHECK_FALSE(read_recipe("/nonexistent/r.yaml").ok());
}

TEST_CASE("whatever a word has in it, the shell sees one word") {
    const std::string nasty = "a'b $(touch x) \"c\" \\ `d`\n;e";
    std::string heard;
    const auto status = run_command({{"sh", "-c", "printf %s " + shell_word(nasty)}, {}},
                                    [&](const std::string& line) { heard += line + "\n"; });
    CHECK(status.value() == 0);
    CHECK(heard == nasty + "\n");
}

TEST_CASE("the script completes the image's folder and stays inside of it" *
          doctest::test_suite("needs root")) {
    if (::geteuid() != 0) {
        qvd::test::skip("only root can chroot");
        return;
    }
    const Folder folder;
    // A root folder that has just enough to run the script, and a link that from here leads
    // outside.
    const std::string root = folder.path("root");
    for (const char* name : {"bin", "sbin", "etc/qvd-inner", "tmp", "var/tmp"})
        std::filesystem::create_directories(root + "/" + name);
    std::filesystem::copy("/bin/busybox", root + "/bin/busybox");
    for (const char* name : {"sh", "rm", "mkdir", "cat", "chmod", "ln", "find", "test", "true"})
        std::filesystem::create_symlink("busybox", root + "/bin/" + name);
    std::filesystem::create_symlink("/etc/qvd-inner", root + "/away");

    Recipe recipe;
    recipe.folders = {{"/var/lib/xkb", "1777"}};
    recipe.links = {{"/sbin/halt", "init"}};
    recipe.files = {{"/sbin/init", "755", RecipeFile::Source::init, ""},
                    {"/etc/new/motd", "640", RecipeFile::Source::text, "it's\nhere\n"},
                    {"/away/escaped", "644", RecipeFile::Source::text, "x"}};
    recipe.commands = {"cat /etc/new/motd >/etc/copy"};
    const auto script = completion_script(recipe, {"", "/bin/busybox"});
    REQUIRE(script.ok());
    const std::string file = folder.write("s.sh", *script);
    std::string heard;
    const auto status = run_command({{"sh", file, root}, {}},
                                    [&](const std::string& line) { heard += line + "\n"; });
    CHECK_MESSAGE(status.value() == 0, heard);
    CHECK(content_of(root + "/etc/copy") == "it's\nhere\n");
    CHECK(content_of(root + "/etc/qvd-inner/escaped") == "x");
    CHECK_FALSE(std::filesystem::exists("/etc/qvd-inner"));
    struct stat facts {};
    CHECK(::stat((root + "/etc/new/motd").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07777U) == 0640U);
    CHECK(::stat((root + "/var/lib/xkb").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07777U) == 01777U);
    CHECK(std::filesystem::read_symlink(root + "/sbin/halt") == "init");
}

TEST_CASE("an image whose recipe wants an agent is not built without one") {
    Recipe recipe;
    recipe.files = {{"/usr/bin/qvd-vma", "755", RecipeFile::Source::agent, ""}};
    const auto script = completion_script(recipe, {"", ""});
    CHECK(script.error().code() == "image.part");
    CHECK(contains(script.error().sentence(), "--agent"));
}

TEST_CASE("the archive appears only when it is whole, and the steps are told") {
    const Folder folder;
    const Path path{folder.path()};
    // The archive is the argument after the release.
    folder.program(
        "mmdebstrap",
        "echo 'I: running apt-get update...'; echo 'I: installing remaining packages';"
        "echo '0 upgraded, 2 newly installed, 0 to remove'; echo 'Unpacking a'; echo noise;"
        "echo 'Setting up a'; for a; do case $a in *.tar.gz) echo $SOURCE_DATE_EPOCH >$a;"
        "esac; done; echo 'I: running apt-get update again'; echo 'I: creating tarball...'");
    Recipe recipe;
    recipe.suite = "bookworm";
    std::vector<std::string> told;
    const auto built = build(recipe, {folder.path("x.tar.gz"), {}}, [&](const BuildStep& step) {
        told.push_back(std::to_string(step.number) + "/" + std::to_string(step.of) + " " +
                       step.text + (step.percent ? " " + std::to_string(*step.percent) : ""));
    });
    REQUIRE_MESSAGE(built.ok(), built.error().sentence());
    CHECK(std::stoll(content_of(folder.path("x.tar.gz"))) % 86400 == 0);
    CHECK(told ==
          std::vector<std::string>{"1/7 reading the lists of packages",
                                   "5/7 installing the packages", "5/7 installing the packages 25",
                                   "5/7 installing the packages 50", "7/7 packing the image"});

    folder.program("mmdebstrap",
                   "for a; do case $a in *.tar.gz) echo part >$a;; esac; done; exit 1");
    CHECK_FALSE(build(recipe, {folder.path("y.tar.gz"), {}}, {}).ok());
    CHECK(folder.names() == std::vector<std::string>{"mmdebstrap", "x.tar.gz"});
}

TEST_CASE("each way in which a build fails has a sentence of its own") {
    const Folder folder;
    const Path path{folder.path()};
    Recipe recipe;
    recipe.suite = "bookworm";
    const auto error_when = [&](const std::string& script) {
        folder.program("mmdebstrap", script);
        return build(recipe, {folder.path("x.tar.gz"), {}}, {}).error();
    };
    const auto code_when = [&](const std::string& script) { return error_when(script).code(); };
    CHECK(code_when("echo \"W: Failed: Temporary failure resolving 'mirror'\" >&2; exit 25") ==
          "image.network");
    CHECK(code_when("echo 'E: Unable to locate package jwn' >&2; exit 25") == "image.package");
    CHECK(code_when("echo 'E: something else' >&2; exit 25") == "image.build");
    for (const char* const script :
         {"echo 'E: the cause' >&2; echo 'and more' >&2; exit 25", "echo 'the cause' >&2; exit 1"})
        CHECK(error_when(script).sentence().ends_with("cannot be built: the cause"));
    CHECK(error_when("exit 1").sentence().ends_with("mmdebstrap failed without a word"));
    CHECK(code_when("echo 'tar: x: Wrote only 1: No space left on device' >&2; exit 25") ==
          "image.no_space");
    CHECK(build(recipe, {folder.path("x.zip"), {}}, {}).error().code() == "image.output");
    CHECK(build(recipe, {"/nonexistent/x.tar", {}}, {}).error().code() == "image.output");
    ::setenv("PATH", folder.path("empty").c_str(), 1);
    const auto missing = build(recipe, {folder.path("x.tar.gz"), {}}, {});
    CHECK(missing.error().sentence() == "mmdebstrap is not installed: apt-get install mmdebstrap");
}
