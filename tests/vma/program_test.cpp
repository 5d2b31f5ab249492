// The program qvd-vma as it is installed.
#include "base/text.hpp"
#include "tests/vma/running_agent.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <algorithm>
#include <cstring>

using namespace qvd;
using namespace qvd::vma;
using testing::Child;
using testing::Folder;
using testing::RunningAgent;

namespace {

// A sanitizer is a library of its own and takes its memory in the agent.
#ifdef QVD_SANITIZED
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

// The names of DT_NEEDED.
std::vector<std::string> needed_libraries(const std::string& path) {
    const std::string bytes = file::read(path, std::size_t{256} << 20U).value();
    const auto at = [&bytes]<class T>(std::size_t offset, T) {
        T value{};
        std::memcpy(&value, bytes.data() + offset, sizeof value);
        return value;
    };
    const auto head = at(0, Elf64_Ehdr{});
    std::vector<std::string> names;
    for (std::size_t i = 0; i < head.e_shnum; ++i) {
        const auto section = at(head.e_shoff + i * head.e_shentsize, Elf64_Shdr{});
        if (section.sh_type != SHT_DYNAMIC) continue;
        const std::size_t link = section.sh_link;
        const auto strings = at(head.e_shoff + link * head.e_shentsize, Elf64_Shdr{});
        for (std::size_t entry = 0; entry < section.sh_size; entry += sizeof(Elf64_Dyn)) {
            const auto dynamic = at(section.sh_offset + entry, Elf64_Dyn{});
            if (dynamic.d_tag != DT_NEEDED) continue;
            const auto name = dynamic.d_un.d_val;  // NOLINT(*-union-access): ELF is made so
            names.emplace_back(bytes.data() + strings.sh_offset + name);
        }
    }
    return names;
}

int status_of(const std::vector<std::string>& argv, const Folder& folder) {
    Child child(argv, folder.at("out"));
    return WEXITSTATUS(child.end(0));
}

}  // namespace

TEST_CASE("it needs no library but libc" * doctest::skip(sanitized)) {
    const auto names = needed_libraries(QVD_VMA);
    CHECK(!names.empty());
    for (const std::string& name : names)
        CHECK_MESSAGE((name.starts_with("libc.so.") || name.starts_with("libm.so.") ||
                       name.starts_with("ld-linux")),
                      name);
}

TEST_CASE("it stays small, also after it has worked" * doctest::skip(sanitized)) {
    // That the agent as it is installed has less than 4 MB is measured in a VM, by
    // tests/checks/quickstart. Code that is not optimised is larger, and it is code that counts.
#ifdef __OPTIMIZE__
    constexpr long limit = 3906;
#else
    constexpr long limit = 4864;
#endif
    const RunningAgent agent;
    for (int i = 0; i < 200; ++i) CHECK(agent.call("ping").ok());
    CHECK_FALSE(agent.call("x_start", {{"qvd.client.link", "a:b"}}).ok());
    CHECK(agent.resident() > 500);
    CHECK(agent.resident() < limit);
}

TEST_CASE("help, version and mistakes on the command line have their exit status") {
    const Folder folder;
    CHECK(status_of({QVD_VMA, "--help"}, folder) == 0);
    CHECK(folder.read("out").find("--check-config") != std::string::npos);
    CHECK(status_of({QVD_VMA, "--version"}, folder) == 0);
    CHECK(status_of({QVD_VMA, "--frobnicate"}, folder) == 2);
    CHECK(status_of({QVD_VMA, "extra"}, folder) == 2);
    CHECK(status_of({QVD_VMA, "-c", folder.at("missing.conf")}, folder) == 2);
}

TEST_CASE("--check-config says what is wrong and where") {
    const Folder folder;
    const std::string good = folder.write("good.conf", "vma.audio.enable = 1\n");
    CHECK(status_of({QVD_VMA, "-c", good, "--check-config"}, folder) == 0);
    const std::string bad = folder.write("bad.conf", "\nvma.audio.enable = loud\n");
    CHECK(status_of({QVD_VMA, "-c", bad, "--check-config"}, folder) == 2);
    CHECK(folder.read("out").find("bad.conf:2") != std::string::npos);
    const std::string idle =
        folder.write("idle.conf", "vma.on_action.disconnect = /bin/true\nvma.audio.enabel = 1\n");
    CHECK(status_of({QVD_VMA, "-c", idle, "--check-config"}, folder) == 0);
    CHECK(folder.read("out").find("warning: vma.on_action.disconnect has no effect") !=
          std::string::npos);
    CHECK(folder.read("out").find("did you mean \"vma.audio.enable\"") != std::string::npos);
    const std::string plugin = folder.write(
        "plugin.conf", "vma.hook.plugins = nowhere\npath.plugins = " + folder.at("") + "\n");
    CHECK(status_of({QVD_VMA, "-c", plugin, "--check-config"}, folder) == 2);
    CHECK(folder.read("out").find("qvd-nowhere.so") != std::string::npos);
}

TEST_CASE("nxagent's dialogs are answered at once") {
    const Folder folder;
    CHECK(status_of({QVD_VMA, "--dialog", "pulldown", "--caption", "x"}, folder) == 0);
    CHECK(folder.read("out").empty());
}

TEST_CASE("it tells newer nodes what it can do") {
    const RunningAgent agent;
    const std::string answer = agent.exchange("GET /vma/hello HTTP/1.0\n\n");
    const auto hello = agent::decode_hello(answer.substr(answer.find("\r\n\r\n") + 4));
    REQUIRE(hello.ok());
    CHECK(hello->protocol == agent::protocol_version);
    CHECK(hello->has("token"));
    CHECK(agent.exchange("GET /vma/frobnicate HTTP/1.0\n\n").starts_with("HTTP/1.1 404 "));
}

TEST_CASE("it writes its pid, and ends when it is told to") {
    RunningAgent agent;
    CHECK(testing::wait_until([&] { return !agent.folder.read("run/vma.pid").empty(); }));
    CHECK(agent.folder.read("run/vma.pid") == std::to_string(agent.child.pid()) + "\n");
    const int status = agent.child.end(SIGTERM);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(agent.folder.read("run/vma.pid").empty());
}

TEST_CASE("in the background it is ready when the command returns") {
    const Folder folder;
    const std::string config = folder.write(
        "vma.conf", "path.run = " + folder.at("run") + "\npath.log = " + folder.at("log") +
                        "\nvma.address = 127.0.0.1\ninternal.vm.port.vma = 0\nvma.token.file =\n");
    REQUIRE(status_of({QVD_VMA, "--daemon", "-c", config}, folder) == 0);
    const auto pid = static_cast<pid_t>(std::stol(folder.read("run/vma.pid")));
    CHECK(::getpgid(pid) == pid);
    CHECK(folder.read("log/qvd.log").find("event=vma.listening") != std::string::npos);
    CHECK(::kill(pid, SIGTERM) == 0);
    CHECK(testing::wait_until([&] { return folder.read("run/vma.pid").empty(); }));
}

TEST_CASE("a second agent on the same port says so and ends") {
    const RunningAgent first;
    const Folder folder;
    const std::string config = folder.write(
        "vma.conf", "path.run = " + folder.at("run") +
                        "\nlog.filename =\nvma.address = 127.0.0.1\n"
                        "path.log = " +
                        folder.at("log") +
                        "\ninternal.vm.port.vma = " + std::to_string(first.port()) + "\n");
    CHECK(status_of({QVD_VMA, "-c", config}, folder) == 1);
    CHECK(folder.read("out").find("internal.vm.port.vma") != std::string::npos);
}
