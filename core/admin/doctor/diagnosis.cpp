#include "admin/doctor/diagnosis.hpp"

#include "base/text.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

namespace qvd::admin::doctor {

namespace {

// Between the fields of a diagnosis on its way out of the child, and behind each.
constexpr char field_end = '\x1f';
constexpr char record_end = '\x1e';
constexpr std::chrono::seconds patience{50};

void send(int to, const Diagnoses& diagnoses) {
    std::string text;
    for (const Diagnosis& one : diagnoses)
        text += std::to_string(static_cast<int>(one.level)) + field_end + one.name + field_end +
                one.sentence + field_end + one.advice + record_end;
    std::string_view left = text;
    while (!left.empty()) {
        const ssize_t written = ::write(to, left.data(), left.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        left.remove_prefix(static_cast<std::size_t>(written));
    }
}

Diagnoses received(const std::string& text) {
    Diagnoses diagnoses;
    for (const std::string& record : text::split(text, record_end)) {
        const std::vector<std::string> fields = text::split(record, field_end);
        constexpr std::size_t count = 4;
        if (fields.size() != count) continue;
        const auto level = static_cast<Level>(text::to_integer(fields[0]).value_or(2));
        diagnoses.push_back({level, fields[1], fields[2], fields[3]});
    }
    return diagnoses;
}

// All that comes before the other end closes; false: the time is up.
bool read_all(int from, std::string& text) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        pollfd waiting{from, POLLIN, 0};
        if (left.count() <= 0) return false;
        const int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
        if (ready == 0) return false;
        if (ready < 0) continue;
        std::array<char, 4096> chunk{};
        const ssize_t got = ::read(from, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace

bool has_problem(const Diagnoses& diagnoses) {
    return std::ranges::any_of(diagnoses,
                               [](const Diagnosis& one) { return one.level == Level::problem; });
}

Diagnoses in_child(const std::string& name, const std::function<Diagnoses()>& check) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return {problem(name, "cannot make a pipe", "close some programs")};
    const UniqueFd reader{ends[0]};
    UniqueFd writer{ends[1]};
    const pid_t child = ::fork();
    if (child < 0) return {problem(name, "cannot fork", "close some programs")};
    if (child == 0) {
        send(writer.get(), check());
        ::_exit(0);  // no plugin's destructors
    }
    writer.reset();
    std::string text;
    const bool in_time = read_all(reader.get(), text);
    if (!in_time) ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    Diagnoses diagnoses = received(text);
    if (!in_time)
        diagnoses.push_back(problem(name, "the check took longer than 50 s and was ended",
                                    "run `qvd-plugin-check` on each plugin file"));
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        diagnoses.push_back(
            problem(name,
                    "the check died" + (WIFSIGNALED(status)
                                            ? " of signal " + std::to_string(WTERMSIG(status))
                                            : std::string{}),
                    "run `qvd-plugin-check` on each plugin file"));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
