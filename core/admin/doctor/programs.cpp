// The programs that a node starts: there, and able to begin.
#include "admin/doctor/checks.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "config/keys.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace qvd::admin::doctor {

namespace fs = std::filesystem;

namespace {

constexpr int patience_ms = 5000;
// Of a shell and of the dynamic loader: it could not be executed; a library is missing.
constexpr int not_executable = 126;
constexpr int not_loadable = 127;

bool is_program(const std::string& path) {
    std::error_code ignored;
    return ::access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path, ignored);
}

// In the child: never returns.
[[noreturn]] void become(const std::string& path, int said) {
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(nothing, 0);
    ::dup2(nothing, 1);
    ::dup2(said, 2);
    std::string name = path;
    std::string option = "--version";
    std::array<char*, 3> arguments{name.data(), option.data(), nullptr};
    std::array<char*, 1> environment{nullptr};
    ::execve(name.c_str(), arguments.data(), environment.data());
    ::_exit(not_executable);
}

// What it wrote, up to its first kilobyte.
std::string first_words(int from) {
    std::array<char, 1024> words{};
    const ssize_t got = ::read(from, words.data(), words.size());
    const std::string text(words.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    return std::string(text::trim(text.substr(0, text.find('\n'))));
}

// Runs it for a moment, to see that its libraries are there. Empty: it begins. What it then thinks
// of --version is its own business.
std::string why_not_begun(const std::string& path) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return "no pipe can be made";
    const UniqueFd said{ends[0]};
    UniqueFd saying{ends[1]};
    const pid_t child = ::fork();
    if (child < 0) return "it cannot be started: " + std::generic_category().message(errno);
    if (child == 0) become(path, saying.get());
    saying.reset();
    const UniqueFd watched{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
    pollfd ended{watched.get(), POLLIN, 0};
    const bool in_time = ::poll(&ended, 1, patience_ms) == 1;
    if (!in_time) ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!in_time) return "it does not answer within 5 s";
    if (WIFSIGNALED(status)) return "it ends of signal " + std::to_string(WTERMSIG(status));
    if (WEXITSTATUS(status) == not_executable) return "this machine cannot execute it";
    if (WEXITSTATUS(status) != not_loadable) return {};
    const std::string words = first_words(said.get());
    return words.empty() ? "it cannot be loaded" : words;
}

// How the missing library that the dynamic loader names is installed; empty if it names none of
// those that Debian's packages of known names bring.
std::string package_of(const std::string& loader_words) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> packages{{
        {"liblxc.so.1", "liblxc1"},
        {"libarchive.so.13", "libarchive13"},
        {"libseccomp.so.2", "libseccomp2"},
        {"libcap.so.2", "libcap2"},
    }};
    for (const auto& [library, package] : packages)
        if (loader_words.find(library) != std::string::npos) return std::string(package);
    return {};
}

Diagnosis check_program(const std::string& path, const std::string& consequence) {
    const std::string name = "program." + fs::path(path).filename().string();
    if (!is_program(path))
        return problem(
            name, path + " is missing: " + consequence,
            "install it, or set " + std::string(config::path_qvd_bin.name) + " to where it is");
    const std::string why = why_not_begun(path);
    if (why.empty()) return good(name, path + " can be run");
    const std::string package = package_of(why);
    return problem(name, path + " cannot be run (" + why + "): " + consequence,
                   package.empty() ? "install what it needs; `ldd " + path + "` lists it"
                                   : "apt-get install " + package);
}

Diagnosis check_postgres(const std::string& folder) {
    std::error_code none;
    std::string trouble;
    for (const auto& entry : fs::directory_iterator(folder, none)) {
        const std::string path = (entry.path() / "bin/postgres").string();
        if (!is_program(path)) continue;
        const std::string why = why_not_begun(path);
        if (why.empty())
            return good("program.postgres",
                        "PostgreSQL " + entry.path().filename().string() + " is installed");
        trouble = path + " cannot be run (" + why + ")";
    }
    if (!trouble.empty())
        return problem("program.postgres", trouble, "install what it needs, or install it anew");
    return problem("program.postgres",
                   "no PostgreSQL server is installed for the embedded database",
                   "apt-get install postgresql-15, or name servers with database.host");
}

}  // namespace

Diagnoses check_programs(const config::View& view, const InUse& use, bool embedded,
                         const std::string& postgres) {
    Diagnoses diagnoses;
    if (embedded) diagnoses.push_back(check_postgres(postgres));
    const fs::path folder = view.get(config::path_qvd_bin);
    if (use.containers())
        for (const char* const program : {"qvd-lxc-keeper", "qvd-lxc-container"})
            diagnoses.push_back(
                check_program((folder / program).string(), "no container can start"));
    diagnoses.push_back(
        check_program((folder / "qvd-unpack").string(), "no image can be unpacked"));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
