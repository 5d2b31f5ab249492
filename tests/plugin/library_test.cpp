#include "plugin/library.hpp"

#include "base/file.hpp"
#include "tests/plugin/room.hpp"
#include "tests/skip.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace qvd::plugin {

namespace {

namespace fs = std::filesystem;

// A folder of its own with one plugin in it.
class Folder {
public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "qvd-library-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
        fs::copy_file(PUPPETS "/qvd-puppet.so", plugin());
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string plugin() const { return path_ + "/qvd-puppet.so"; }
    void write(const std::string& name, std::string_view content) const {
        REQUIRE(file::write_atomic(path_ + "/" + name, content, 0644).ok());
    }

private:
    std::string path_;
};

Error refusal(const std::string& folder, const std::string& name = "puppet") {
    const auto library = Library::open(folder, name);
    REQUIRE_FALSE(library.ok());
    return library.error();
}

}  // namespace

TEST_CASE("a plugin in a folder that nobody else may write is opened") {
    const Folder folder;
    const auto library = Library::open(folder.path(), "puppet");
    REQUIRE(library.ok());
    CHECK((*library)->manifest().name == "puppet");
    CHECK((*library)->manifest().keys.size() == 6);
    CHECK((*library)->path() == folder.plugin());
}

TEST_CASE("a plugin that its group or others may write is not trusted") {
    const Folder folder;
    for (const mode_t mode : {mode_t{0664}, mode_t{0646}, mode_t{01666}}) {
        REQUIRE(::chmod(folder.plugin().c_str(), mode) == 0);
        const Error error = refusal(folder.path());
        CHECK(error.kind() == ErrorKind::denied);
        CHECK(error.code() == "plugin.untrusted");
        CHECK(error.sentence().find("is writable by others") != std::string::npos);
    }
}

TEST_CASE("a plugin of another user is not trusted, nor one in his folder" *
          doctest::test_suite("needs root")) {
    if (::geteuid() != 0) {
        qvd::test::skip("only root can give files away");
        return;
    }
    const Folder folder;
    REQUIRE(::chown(folder.plugin().c_str(), 12345, 12345) == 0);
    CHECK(refusal(folder.path()).sentence().find("belongs to user 12345") != std::string::npos);
    REQUIRE(::chown(folder.plugin().c_str(), 0, 0) == 0);
    REQUIRE(::chown(folder.path().c_str(), 12345, 12345) == 0);
    CHECK(refusal(folder.path()).code() == "plugin.untrusted");
}

TEST_CASE("a folder that others may write is not trusted, unless they cannot replace files there") {
    const Folder folder;
    REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
    CHECK(refusal(folder.path()).code() == "plugin.untrusted");
    REQUIRE(::chmod(folder.path().c_str(), 01777) == 0);
    CHECK(Library::open(folder.path(), "puppet").ok());
}

TEST_CASE("of a link the place that it leads to counts") {
    const Folder safe;
    const Folder open_to_all;
    fs::remove(safe.plugin());
    fs::create_symlink(open_to_all.plugin(), safe.plugin());
    CHECK(Library::open(safe.path(), "puppet").ok());
    REQUIRE(::chmod(open_to_all.path().c_str(), 0777) == 0);
    CHECK(refusal(safe.path()).code() == "plugin.untrusted");
}

TEST_CASE("a file that is no shared object, or none of a plugin, is refused before it is loaded") {
    const Folder folder;
    folder.write("qvd-text.so", "not a shared object\n");
    folder.write("qvd-empty.so", "");
    folder.write("qvd-cut.so", std::string("\177ELF\2\1\1\0\0\0\0\0\0\0\0\0", 16));
    for (const char* name : {"text", "empty", "cut"}) {
        const Error error = refusal(folder.path(), name);
        CHECK(error.code() == "plugin.file");
        CHECK(error.sentence().find("is not a shared object of this machine") != std::string::npos);
    }
    fs::create_directory(folder.path() + "/qvd-folder.so");
    CHECK(refusal(folder.path(), "folder").sentence().find("is not a file") != std::string::npos);
}

TEST_CASE("a name cannot lead out of the folder") {
    const Folder folder;
    CHECK(refusal(folder.path(), "../puppet").code() == "plugin.name");
    CHECK(refusal(folder.path(), "").code() == "plugin.name");
}

TEST_CASE("a missing plugin is named with the file and with what is installed of its kind") {
    qvd::testing::Room room;
    const auto missing = room.registry.make(QVD_LOAD_BALANCER, "wieghted");
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().kind() == ErrorKind::not_found);
    CHECK(missing.error().code() == "plugin.not_installed");
    CHECK(missing.error().sentence() ==
          "balancer \"wieghted\" is not installed: there is no " PUPPETS
          "/qvd-wieghted.so (installed plugins: puppet, puppet-blocking, puppet-concurrent, "
          "puppet-instance, puppet-odd, puppet-plain)");
    // Who knows what the files are names those that would fit.
    Registry informed(room.host, {{"even", "1", {QVD_LOAD_BALANCER}, {}, {}},
                                  {"lock", "1", {QVD_AUTHENTICATOR}, {}, {}}});
    CHECK(informed.make(QVD_LOAD_BALANCER, "wieghted")
              .error()
              .sentence()
              .ends_with("/qvd-wieghted.so (installed balancers: even)"));
}

TEST_CASE("only what is asked for is ever opened") {
    // A look for something else must not let the code of a broken plugin in.
    qvd::testing::Room room("path.plugins = " BROKEN_PLUGINS "\n");
    const auto missing = room.registry.make(QVD_LOAD_BALANCER, "wieghted");
    CHECK(missing.error().sentence().ends_with(
        "(installed plugins: clashing, crashing, exiting, hanging)"));
}

TEST_CASE("before a plugin is opened the log names it") {
    const log::Capture capture;
    qvd::testing::Room room;
    REQUIRE(room.registry.open("puppet").ok());
    CHECK(capture.contains("event=plugin.opens plugin=puppet"));
}

TEST_CASE("a plugin that means something else by a key of the core's is not used") {
    qvd::testing::Room room("path.plugins = " BROKEN_PLUGINS "\n");
    const auto refused = room.registry.make(QVD_LOAD_BALANCER, "clashing");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "plugin.keys");
    CHECK(refused.error().sentence() ==
          "the plugin clashing cannot be used: key \"path.run\" cannot be declared: it is declared "
          "already, as a path that begins with / with the default \"/run/qvd\"");
}

TEST_CASE("a plugin of another kind is refused for what it is not") {
    qvd::testing::Room room("path.plugins = " PLUGINS "\n");
    const auto made = room.registry.make(QVD_AUTHENTICATOR, "random");
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().sentence() == "the plugin random is no authenticator");
}

TEST_CASE("the names default and lxc lead to the plugins that they stand for") {
    qvd::testing::Room room;
    const config::View view = room.host.view();
    CHECK(Registry::resolve(QVD_LOAD_BALANCER, "default", view) == "weighted");
    CHECK(Registry::resolve(QVD_AUTHENTICATOR, "default", view) == "default");
    CHECK(Registry::resolve(QVD_HYPERVISOR, "lxc", view) == "lxc-unionfs");
    qvd::testing::Room btrfs("vm.lxc.unionfs.type = btrfs\n");
    CHECK(Registry::resolve(QVD_HYPERVISOR, "lxc", btrfs.host.view()) == "lxc-btrfs");
}

}  // namespace qvd::plugin
