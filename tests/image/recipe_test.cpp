#include "image/recipe.hpp"

#include "image/build.hpp"
#include "image/command.hpp"
#include "image/disk.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace qvd::image;

namespace {

// A folder that goes with everything in it.
class Folder {
public:
    Folder() {
        std::string path = "/tmp/qvd-image-test-XXXXXX";
        REQUIRE(::mkdtemp(path.data()) != nullptr);
        path_ = path;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string write(const std::string& name, const std::string& content) const {
        std::ofstream(path_ / name) << content;
        return (path_ / name).string();
    }
    std::string program(const std::string& name, const std::string& script) const {
        std::string file = write(name, "#!/bin/sh\n" + script);
        ::chmod(file.c_str(), 0755);
        return file;
    }
    [[nodiscard]] std::string path(const std::string& name = "") const {
        return (path_ / name).string();
    }

private:
    std::filesystem::path path_;
};

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

// Puts `folder` in front of PATH while it lives.
class Path {
public:
    explicit Path(const std::string& folder) : before_(now()) {
        ::setenv("PATH", (folder + ":" + before_).c_str(), 1);
    }
    ~Path() { ::setenv("PATH", before_.c_str(), 1); }
    Path(const Path&) = delete;
    Path& operator=(const Path&) = delete;

private:
    static std::string now() {
        const char* const path = std::getenv("PATH");
        return path == nullptr ? "" : path;
    }

    std::string before_;
};

}  // namespace

TEST_CASE("the recipe that is shipped is a good one") {
    const auto recipe = read_recipe(QVD_SOURCE_DIR "/etc/images/debian-minimal.yaml");
    REQUIRE_MESSAGE(recipe.ok(), recipe.error().sentence());
    CHECK(recipe->name == "debian-minimal");
    CHECK(completion_script(*recipe, {"/x/qvd-vma", "/x/init"}).ok());
    CHECK(completion_script(*for_machines(*recipe), {"/x/qvd-vma", "/x/init"}).ok());
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

TEST_CASE("the archive appears only when it is whole, and the progress is told") {
    const Folder folder;
    const Path path{folder.path()};
    // The archive is the argument after the release.
    folder.program("mmdebstrap",
                   "echo 'I: one'; echo noise; for a; do case $a in *.tar.gz) echo tar >$a; "
                   "echo \"I: $SOURCE_DATE_EPOCH\";; esac; done");
    Recipe recipe;
    recipe.suite = "bookworm";
    std::vector<std::string> told;
    const auto built = build(recipe, {folder.path("x.tar.gz"), {}},
                             [&](const auto& line) { told.push_back(line); });
    REQUIRE_MESSAGE(built.ok(), built.error().sentence());
    CHECK(built->bytes == 4);
    CHECK(content_of(folder.path("x.tar.gz")) == "tar\n");
    REQUIRE(told.size() == 2);
    CHECK(told[0] == "one");
    CHECK(std::stoll(told[1]) % 86400 == 0);

    folder.program("mmdebstrap", "echo partial >\"$6\"; exit 1");
    CHECK_FALSE(build(recipe, {folder.path("y.tar.gz"), {}}, {}).ok());
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        CHECK_MESSAGE(!contains(entry.path().string(), "y.tar"), entry.path().string());
}

TEST_CASE("each way in which a build fails has a sentence of its own") {
    const Folder folder;
    const Path path{folder.path()};
    Recipe recipe;
    recipe.suite = "bookworm";
    const auto code_when = [&](const std::string& script) {
        folder.program("mmdebstrap", script);
        return build(recipe, {folder.path("x.tar.gz"), {}}, {}).error().code();
    };
    CHECK(code_when("echo \"W: Failed: Temporary failure resolving 'mirror'\" >&2; exit 25") ==
          "image.network");
    CHECK(code_when("echo 'E: Unable to locate package jwn' >&2; exit 25") == "image.package");
    CHECK(code_when("echo 'E: something else' >&2; exit 25") == "image.build");
    CHECK(build(recipe, {folder.path("x.zip"), {}}, {}).error().code() == "image.output");
    CHECK(build(recipe, {"/nonexistent/x.tar", {}}, {}).error().code() == "image.output");
    ::setenv("PATH", folder.path("empty").c_str(), 1);
    const auto missing = build(recipe, {folder.path("x.tar.gz"), {}}, {});
    CHECK(missing.error().sentence() == "mmdebstrap is not installed: apt-get install mmdebstrap");
}
