#include "client/display.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "client/child.hpp"
#include "client/printable.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace qvd::client {
namespace {

constexpr std::size_t longest_log = 8U << 20U;

// Where the socket may lie: nxproxy's options know neither commas nor colons in a path.
std::string parent_folder() {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
    const std::string folder = runtime == nullptr ? "" : runtime;
    const bool usable = folder.starts_with('/') && folder.size() < 64 &&
                        folder.find_first_of(",:=") == std::string::npos &&
                        ::access(folder.c_str(), W_OK | X_OK) == 0;
    return usable ? folder : "/tmp";
}

// The last thing nxproxy complained about.
std::string complaint_in(const std::string& log) {
    std::string complaint;
    for (const std::string& line : text::split(log, '\n'))
        for (const std::string_view word : {"Error:", "PANIC!", "ERROR!", "cannot", "Can't"})
            if (line.find(word) != std::string::npos) complaint = printable(line);
    return complaint;
}

Error no_nxproxy(const std::string& why) {
    return {ErrorKind::unavailable, "display.nxproxy", "nxproxy " + why};
}

}  // namespace

Result<Display> Display::start(const DisplaySettings& settings) {
    std::string folder = parent_folder() + "/qvdclient-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr)
        return errno_error("display.folder", "cannot make a folder in " + parent_folder());
    Display display;
    display.folder_ = std::move(folder);
    QVD_CHECK(display.listen());
    QVD_CHECK(display.spawn(settings));
    return display;
}

Display::Display(Display&& other) noexcept
    : folder_(std::exchange(other.folder_, {})),
      listener_(std::move(other.listener_)),
      process_(std::move(other.process_)),
      pid_(other.pid_) {
}

Display::~Display() {
    end(Milliseconds{0});
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<void> Display::listen() {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const std::string socket = path("nx");
    std::memcpy(&name.sun_path, socket.c_str(), socket.size() + 1);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the socket interface is made so
    const auto* address = reinterpret_cast<const sockaddr*>(&name);
    if (!listener_ || ::bind(listener_.get(), address, sizeof name) != 0 ||
        ::listen(listener_.get(), 1) != 0)
        return errno_error("display.folder", "cannot listen in " + folder_);
    return {};
}

Result<void> Display::spawn(const DisplaySettings& settings) {
    // Of an option given twice the later one holds: the user may change all but where we meet.
    std::string options = "nx/nx,retry=1";
    if (!settings.options.empty()) options += "," + settings.options;
    options += ",errors=" + path("errors") + ",stats=" + path("stats") +
               ",connect=unix:" + path("nx") + ":0";
    ChildSettings child;
    child.arguments = {settings.command, "-S"};
    child.arguments.insert(child.arguments.end(), settings.arguments.begin(),
                           settings.arguments.end());
    child.arguments.push_back(options);
    child.output_file = path("log");
    // NX_CLIENT is what nxproxy calls to put up dialogs of its own; nobody is there to answer them.
    child.environment = {{"DISPLAY", settings.display}, {"NX_CLIENT", "/bin/true"}};
    child.without = {"QVDPASSWORD"};
    QVD_TRY(pid_, start_child(child));
    // Not pidfd_open(): Debian 12's header forgets extern "C".
    process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));  // NOLINT(*-vararg)
    if (!process_) return errno_error("display.nxproxy", "cannot watch nxproxy");
    log::debug("nxproxy.started", {{"pid", pid_}, {"options", options}}, "nxproxy runs");
    return {};
}

Result<UniqueFd> Display::accept(const Patience& patience) {
    // In small steps: nxproxy may die without ever connecting.
    while (!patience.deadline.passed()) {
        const Patience step{patience.deadline.at_most(Milliseconds{100}), patience.stop_fd};
        Result<void> ready = wait_for(listener_.get(), POLLIN, step);
        if (!ready.ok() && ready.error().kind() == ErrorKind::cancelled)
            return std::move(ready).error();
        UniqueFd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (fd) return fd;
        if (ended_within(Milliseconds{0})) {
            QVD_CHECK(verdict());
            return no_nxproxy("ended at once");
        }
    }
    return no_nxproxy("does not connect to its client");
}

bool Display::ended_within(Milliseconds time) {
    if (!process_) return true;
    if (!wait_for(process_.get(), POLLIN, {Deadline::in(clock_, time), -1}).ok()) return false;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    process_.reset();
    log::debug("nxproxy.ended", {{"pid", pid_}, {"status", status}}, "nxproxy has ended");
    return true;
}

void Display::end(Milliseconds grace) {
    if (ended_within(grace)) return;
    constexpr Milliseconds least_grace{2500};
    for (const int signal : {SIGTERM, SIGKILL}) {
        ::kill(-pid_, signal);
        if (ended_within(std::max(grace, least_grace))) return;
    }
}

Result<void> Display::verdict() const {
    const std::string log = file::read(path("log"), longest_log).value_or("") +
                            file::read(path("errors"), longest_log).value_or("");
    if (log.find("Established X server connection") != std::string::npos) return {};
    const std::string complaint = complaint_in(log);
    return no_nxproxy("could not show the desktop" +
                      (complaint.empty() ? std::string{} : ": " + complaint));
}

}  // namespace qvd::client
