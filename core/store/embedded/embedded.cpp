#include "store/embedded.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "store/embedded/cluster_files.hpp"
#include "store/embedded/server.hpp"
#include "store/keys.hpp"

#include <fcntl.h>
#include <libpq-fe.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>

namespace qvd::store {

namespace {

namespace fs = std::filesystem;
using embedded::Instant;
using embedded::OsUser;

constexpr std::size_t socket_path_limit = 80;  // of sun_path's 108, with the socket's own name
constexpr off_t log_limit = 1 << 20;

Error path_error(const std::string& sentence) {
    return {ErrorKind::invalid, "database.path", sentence};
}

PGPing ping(const EmbeddedPlace& place) {
    // As somebody whom it lets in, or its log fills with refusals.
    const std::array<const char*, 6> keys{"host", "port", "dbname", "user", "connect_timeout",
                                          nullptr};
    const std::array<const char*, 6> values{place.sockets.c_str(), "5432", place.database.c_str(),
                                            "qvd_owner",           "2",    nullptr};
    return PQpingParams(keys.data(), values.data(), 0);
}

std::string lock_path(const EmbeddedPlace& place) {
    return place.sockets + ".lock";
}

// The only starter or stopper of this cluster, while it lives.
Result<UniqueFd> lock(const EmbeddedPlace& place, Instant deadline) {
    QVD_CHECK(file::make_folders(fs::path(place.sockets).parent_path().string()));
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): open() is one
    UniqueFd fd(::open(lock_path(place).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return errno_error("database.path", "cannot open " + lock_path(place));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (embedded::wait_a_little(deadline)) continue;
        return Error{ErrorKind::timeout, "database.busy",
                     "another program has been starting or stopping the embedded database for too "
                     "long (it holds " +
                         lock_path(place) + ")"};
    }
    return fd;
}

Result<void> make_own_folder(const std::string& path, const OsUser& user, mode_t mode) {
    QVD_CHECK(file::make_folders(path, mode));
    if (::chown(path.c_str(), user.uid, user.gid) != 0 || ::chmod(path.c_str(), mode) != 0)
        return errno_error("database.path", "cannot give " + path + " to " + user.name);
    return {};
}

Result<UniqueFd> open_log(const EmbeddedPlace& place, const OsUser& user) {
    QVD_CHECK(file::make_folders(fs::path(place.log).parent_path().string()));
    std::error_code ignored;  // a log that stays long is no reason not to start
    struct stat facts {};
    if (::stat(place.log.c_str(), &facts) == 0 && facts.st_size > log_limit)
        fs::rename(place.log, place.log + ".1", ignored);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): open() is one
    UniqueFd fd(
        ::open(place.log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!fd || ::fchown(fd.get(), user.uid, user.gid) != 0)
        return errno_error("database.path", "cannot open " + place.log);
    return fd;
}

// What the server wrote after `offset` that matters: its last complaint.
std::string last_words(const EmbeddedPlace& place, off_t offset) {
    const auto log = file::read(place.log, std::size_t{64} << 20U);
    if (!log.ok()) return "see " + place.log;
    std::string words;
    const auto begin = std::min(static_cast<std::size_t>(offset), log->size());
    for (const std::string& line : text::split(std::string_view(*log).substr(begin), '\n')) {
        const bool complaint =
            line.find("FATAL:") != std::string::npos || line.find("PANIC:") != std::string::npos ||
            line.find("ERROR:") != std::string::npos || line.find("error:") != std::string::npos;
        if (complaint) words = line;
    }
    if (words.empty()) return "see " + place.log;
    return text::quoted(words, 300) + " (more in " + place.log + ")";
}

off_t size_of(int fd) {
    struct stat facts {};
    return ::fstat(fd, &facts) == 0 ? facts.st_size : 0;
}

pid_t postmaster_of(const EmbeddedPlace& place) {
    const auto content = file::read(place.data + "/postmaster.pid");
    if (!content.ok()) return 0;
    const auto pid = text::to_integer(text::split(*content, '\n').front());
    if (!pid) return 0;
    // After a crash the number may be somebody else's by now.
    const auto number = static_cast<pid_t>(*pid);
    return embedded::is_server_in(number, place.data) ? number : 0;
}

// Makes the cluster beside its place and renames it there: a crash leaves none or a whole one.
Result<void> create(const EmbeddedPlace& place, const OsUser& user, int log, Instant deadline) {
    const fs::path parent = fs::path(place.data).parent_path();
    const std::string prefix = fs::path(place.data).filename().string() + ".new";
    QVD_CHECK(file::make_folders(parent.string()));
    std::error_code error;
    const std::string fresh = (parent / prefix).string();
    fs::remove_all(fresh, error);  // of a start that was killed
    QVD_CHECK(make_own_folder(fresh, user, 0700));
    QVD_TRY(const std::string programs, embedded::find_server({}));
    const off_t offset = size_of(log);
    const auto explained = [&](const Error& failure) {
        fs::remove_all(fresh, error);
        return failure.within(last_words(place, offset));
    };
    const auto made = embedded::run(
        user,
        {programs + "/initdb", "--pgdata=" + fresh, "--username=" + std::string(embedded_superuser),
         "--auth-local=peer", "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8",
         "--data-checksums", "--no-instructions", "--no-sync"},
        {}, log, deadline);
    if (!made.ok()) return explained(made.error());
    const auto filled = embedded::run(user,
                                      {programs + "/postgres", "--single", "-D", fresh, "-c",
                                       "exit_on_error=on", "-c", "fsync=off", "template1"},
                                      embedded::first_statements(place), log, deadline);
    if (!filled.ok()) return explained(filled.error());
    if (place.durable) {
        // All at once: what is renamed below is on the disk.
        const auto synced = embedded::run(
            user, {programs + "/initdb", "--sync-only", "--pgdata=" + fresh}, {}, log, deadline);
        if (!synced.ok()) return explained(synced.error());
    }
    fs::remove(place.data, error);  // only if it is empty
    if (::rename(fresh.c_str(), place.data.c_str()) != 0)
        return errno_error("database.path", "cannot move the new database to " + place.data);
    log::info("database.created", {{"path", place.data}}, "made the embedded database");
    return {};
}

// After a postmaster was killed: its backends, which keep its shared memory, and its lock files,
// which may name a process that is another by now. Only called under the lock, without postmaster.
Result<void> clear_remains(const EmbeddedPlace& place, Instant deadline) {
    for (auto left = embedded::servers_in(place.data); !left.empty();
         left = embedded::servers_in(place.data)) {
        for (const pid_t pid : left) ::kill(pid, SIGKILL);
        if (!embedded::wait_a_little(deadline))
            return Error{ErrorKind::timeout, "database.start",
                         "processes of an earlier embedded database cannot be ended"};
    }
    ::unlink((place.data + "/postmaster.pid").c_str());
    ::unlink((place.sockets + "/.s.PGSQL.5432").c_str());
    ::unlink((place.sockets + "/.s.PGSQL.5432.lock").c_str());
    return {};
}

std::string version_of(const EmbeddedPlace& place) {
    const auto version = file::read(place.data + "/PG_VERSION");
    return version.ok() ? std::string(text::trim(*version)) : std::string{};
}

// Until it answers, has ended (false), or the deadline.
Result<bool> await_answer(const EmbeddedPlace& place, pid_t postmaster, Instant deadline) {
    while (ping(place) != PQPING_OK) {
        if (!embedded::is_alive(postmaster)) return false;
        if (!embedded::wait_a_little(deadline))
            return Error{ErrorKind::timeout, "database.start",
                         "the embedded database runs but does not answer; see " + place.log};
    }
    return true;
}

Result<void> start(const EmbeddedPlace& place, const OsUser& user, int log, Instant deadline) {
    if (const pid_t running = postmaster_of(place); running != 0) {
        // Coming up or going down.
        QVD_TRY(const bool answers, await_answer(place, running, deadline));
        if (answers) return {};
    }
    QVD_CHECK(clear_remains(place, deadline));
    QVD_TRY(const std::string programs, embedded::find_server(version_of(place)));
    QVD_CHECK(embedded::write_configuration(place, place.data));
    const off_t offset = size_of(log);
    QVD_TRY(const pid_t postmaster,
            embedded::start(user, {programs + "/postgres", "-D", place.data}, log));
    QVD_TRY(const bool answers, await_answer(place, postmaster, deadline));
    if (!answers)
        return Error{ErrorKind::unavailable, "database.start",
                     "the embedded database does not start: " + last_words(place, offset)};
    log::info("database.started", {{"pid", postmaster}, {"path", place.data}},
              "the embedded database runs");
    return {};
}

}  // namespace

std::optional<EmbeddedPlace> embedded_place(const config::View& view) {
    const auto hosts = view.find(config::database_host);
    if (hosts && !hosts->empty()) return std::nullopt;
    EmbeddedPlace place;
    place.data = view.get(config::path_database);
    place.sockets = view.get(config::path_run) + "/database";
    place.log = view.get(config::path_log) + "/qvd-database.log";
    place.database = view.get(config::database_name);
    place.os_user = view.get(database_os_user);
    return place;
}

EmbeddedCluster::EmbeddedCluster(EmbeddedPlace place) : place_(std::move(place)) {
}

Result<void> EmbeddedCluster::ensure_running(std::chrono::milliseconds patience) {
    if (place_.sockets.size() > socket_path_limit)
        return path_error(place_.sockets + " is too long for a socket: path.run may have " +
                          std::to_string(socket_path_limit - 9) + " characters");
    if (ping(place_) == PQPING_OK) return {};
    if (::geteuid() != 0)
        return Error{ErrorKind::denied, "database.start",
                     "the embedded database does not run, and only root can start it"};
    const Instant deadline = std::chrono::steady_clock::now() + patience;
    QVD_TRY(const OsUser user, embedded::find_user(place_.os_user));
    QVD_TRY(const UniqueFd alone, lock(place_, deadline));
    if (ping(place_) == PQPING_OK) return {};
    QVD_CHECK(make_own_folder(place_.sockets, user, 0755));
    QVD_TRY(const UniqueFd log, open_log(place_, user));
    if (version_of(place_).empty()) QVD_CHECK(create(place_, user, log.get(), deadline));
    return start(place_, user, log.get(), deadline);
}

Result<void> EmbeddedCluster::stop(std::chrono::milliseconds patience) {
    const Instant deadline = std::chrono::steady_clock::now() + patience;
    if (status().state == Status::State::absent) return {};
    QVD_TRY(const UniqueFd alone, lock(place_, deadline));
    const pid_t postmaster = postmaster_of(place_);
    if (postmaster == 0) return {};
    ::kill(postmaster, SIGINT);  // "fast": sessions end, everything is written
    while (embedded::is_alive(postmaster)) {
        if (embedded::wait_a_little(deadline)) continue;
        return Error{ErrorKind::timeout, "database.stop",
                     "the embedded database does not end; see " + place_.log};
    }
    log::info("database.stopped", {{"path", place_.data}}, "the embedded database has ended");
    return {};
}

bool EmbeddedCluster::is_there() const {
    return postmaster_of(place_) != 0;
}

EmbeddedCluster::Status EmbeddedCluster::status() const {
    Status status;
    const PGPing answer = ping(place_);
    std::error_code error;
    const bool there = fs::exists(place_.data + "/PG_VERSION", error) || error;
    status.version = version_of(place_);
    status.pid = postmaster_of(place_);
    if (answer == PQPING_OK || status.pid != 0) {
        status.state = Status::State::running;
        status.sentence = answer == PQPING_OK ? "the embedded database runs"
                                              : "the embedded database is starting or ending";
    } else if (there) {
        status.state = Status::State::stopped;
        status.sentence = "the embedded database does not run";
    } else {
        status.sentence = "there is no embedded database in " + place_.data + " yet";
    }
    return status;
}

}  // namespace qvd::store
