#include "plugin/catalogue.hpp"

#include "base/unique_fd.hpp"
#include "plugin/registry.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

namespace qvd::plugin {

namespace {

// From a child to us, who are of the same build: numbers as they are, texts behind their length.
class Writer {
public:
    void number(std::int64_t value) {
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);  // NOLINT: its bytes
    }
    void text(std::string_view value) {
        number(static_cast<std::int64_t>(value.size()));
        bytes_.append(value);
    }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

private:
    std::string bytes_;
};

// Whatever the plugin's code wrote into the pipe besides: beyond the end there is nothing.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    std::int64_t number() {
        std::int64_t value = 0;
        if (rest_.size() < sizeof value) return fail();
        std::memcpy(&value, rest_.data(), sizeof value);
        rest_.remove_prefix(sizeof value);
        return value;
    }
    std::string text() {
        const std::int64_t size = number();
        if (size < 0 || static_cast<std::uint64_t>(size) > rest_.size()) return fail(), "";
        std::string value(rest_.substr(0, static_cast<std::size_t>(size)));
        rest_.remove_prefix(value.size());
        return value;
    }
    // How many things follow; each takes a byte at least.
    std::int64_t count() {
        const std::int64_t many = number();
        return many < 0 || static_cast<std::uint64_t>(many) > rest_.size() ? fail() : many;
    }
    [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

private:
    std::int64_t fail() {
        good_ = false;
        rest_ = {};
        return 0;
    }

    std::string_view rest_;
    bool good_ = true;
};

void write_key(Writer& to, const config::Declaration& key) {
    to.text(key.name);
    to.number(static_cast<std::int64_t>(key.kind));
    to.number(key.fallback ? 1 : 0);
    to.text(key.fallback.value_or(""));
    to.text(key.unit);
    to.text(key.meaning);
    to.number(key.flags);
    to.number(key.range.min);
    to.number(key.range.max);
}

config::Declaration read_key(Reader& from) {
    config::Declaration key;
    key.name = from.text();
    key.kind = static_cast<config::Kind>(from.number());
    const bool has_fallback = from.number() != 0;
    std::string fallback = from.text();
    if (has_fallback) key.fallback = std::move(fallback);
    key.unit = from.text();
    key.meaning = from.text();
    key.flags = static_cast<unsigned>(from.number());
    key.range.min = from.number();
    key.range.max = from.number();
    return key;
}

std::string written(const Result<std::shared_ptr<const Library>>& library) {
    Writer to;
    to.text(library.ok() ? "" : library.error().sentence());
    const Manifest none;
    const Manifest& manifest = library.ok() ? (*library)->manifest() : none;
    to.text(manifest.version);
    to.number(static_cast<std::int64_t>(manifest.interfaces.size()));
    for (const std::string& id : manifest.interfaces) to.text(id);
    to.number(static_cast<std::int64_t>(manifest.keys.size()));
    for (const config::Declaration& key : manifest.keys) write_key(to, key);
    return to.bytes();
}

bool read_into(InstalledPlugin& plugin, std::string_view bytes) {
    Reader from(bytes);
    plugin.problem = from.text();
    plugin.version = from.text();
    for (std::int64_t left = from.count(); left > 0; --left)
        plugin.interfaces.push_back(from.text());
    for (std::int64_t left = from.count(); left > 0; --left) plugin.keys.push_back(read_key(from));
    return from.complete();
}

[[noreturn]] void be_the_child(int pipe, const std::string& folder, const std::string& name) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // What this process does about its own crash is none of the child's business.
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTERM, SIGINT, SIGHUP})
        (void)::signal(signal, SIG_DFL);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    // What the plugin prints must not mix with what its loader prints.
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    const std::string bytes = written(Library::open(folder, name));
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t sent = ::write(pipe, bytes.data() + at, bytes.size() - at);
        if (sent <= 0) ::_exit(1);
        at += static_cast<std::size_t>(sent);
    }
    ::_exit(0);  // no destructors of the plugin's
}

struct Child {
    pid_t pid = -1;
    UniqueFd pipe;
};

Result<Child> begin(const std::string& folder, const std::string& name) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error("plugin.child", "no pipe");
    UniqueFd reading{ends[0]};
    const UniqueFd writing{ends[1]};
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error("plugin.child", "cannot fork");
    if (pid == 0) be_the_child(writing.get(), folder, name);
    return Child{pid, std::move(reading)};
}

// Everything that the child wrote; nothing if it was not done in time.
std::optional<std::string> read_all(int pipe, const Deadline& deadline) {
    std::string bytes;
    std::array<char, 4096> buffer{};
    for (;;) {
        pollfd ready{pipe, POLLIN, 0};
        const int count = ::poll(&ready, 1, static_cast<int>(deadline.remaining().count()));
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) return std::nullopt;
        const ssize_t got = ::read(pipe, buffer.data(), buffer.size());
        if (got <= 0) return bytes;
        bytes.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

// Why there is no manifest although no error was reported.
std::string how_it_ended(int status) {
    if (WIFSIGNALED(status)) {
        const char* const name = ::sigabbrev_np(WTERMSIG(status));
        return "it ends the process that loads it with signal SIG" +
               std::string(name == nullptr ? "?" : name);
    }
    return "it ends the process that loads it";
}

void finish(InstalledPlugin& plugin, const std::string& file, Child child,
            const Deadline& deadline) {
    const auto bytes = read_all(child.pipe.get(), deadline);
    if (!bytes) ::kill(child.pid, SIGKILL);
    // What it may have started.
    ::kill(-child.pid, SIGKILL);
    int status = 0;
    while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) continue;
    const std::string advice = "; `qvd-plugin-check " + file + "` tells more";
    if (bytes && read_into(plugin, *bytes)) return;
    const std::string name = plugin.name;
    plugin = {};
    plugin.name = name;
    plugin.problem =
        file + ": " + (bytes ? how_it_ended(status) : "loading it does not end") + advice;
}

}  // namespace

Catalogue read_catalogue(const std::string& folder, Milliseconds limit) {
    const SteadyClock clock;
    const Deadline deadline = Deadline::in(clock, limit);
    Catalogue catalogue;
    std::vector<Child> children;
    for (std::string& name : Registry::installed(folder)) {
        auto child = begin(folder, name);
        catalogue.push_back({std::move(name), {}, {}, {}, {}});
        if (!child.ok()) catalogue.back().problem = child.error().sentence();
        children.push_back(child.ok() ? std::move(*child) : Child{});
    }
    for (std::size_t i = 0; i < children.size(); ++i)
        if (children[i].pid > 0)
            finish(catalogue[i], folder + "/qvd-" + catalogue[i].name + ".so",
                   std::move(children[i]), deadline);
    return catalogue;
}

bool declares(const Catalogue& catalogue, std::string_view key) {
    return std::ranges::any_of(catalogue, [key](const InstalledPlugin& plugin) {
        return std::ranges::find(plugin.keys, key, &config::Declaration::name) != plugin.keys.end();
    });
}

}  // namespace qvd::plugin
