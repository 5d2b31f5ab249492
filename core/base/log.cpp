#include "base/log.hpp"

#include "base/log_file.hpp"
#include "base/syslog.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>

namespace qvd::log {

namespace {

// guards what follows; held for a pointer copy or a line at most
std::mutex mutex;                              // NOLINT
std::shared_ptr<spdlog::logger> logger;        // NOLINT
Target current_target;                         // NOLINT
Level current_level = Level::info;             // NOLINT
std::vector<std::string>* captured = nullptr;  // NOLINT

spdlog::level::level_enum native(Level level) {
    switch (level) {
        case Level::trace:
            return spdlog::level::trace;
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
        case Level::fatal:
            return spdlog::level::critical;
        case Level::off:
            return spdlog::level::off;
    }
    return spdlog::level::info;
}

int severity_of(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::critical:
            return LOG_CRIT;
        case spdlog::level::err:
            return LOG_ERR;
        case spdlog::level::warn:
            return LOG_WARNING;
        case spdlog::level::info:
            return LOG_INFO;
        default:
            return LOG_DEBUG;
    }
}

// The logger's own would block, and make its socket only at the first line.
class SyslogSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
    explicit SyslogSink(std::string program) : syslog_(std::move(program)) {}

private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        syslog_.write(severity_of(message.level), {message.payload.data(), message.payload.size()});
    }
    void flush_() override {}

    Syslog syslog_;  // one thread at a time: `mutex` is held
};

// Of a file that another process has opened.
class DescriptorSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
    explicit DescriptorSink(UniqueFd file) : file_(std::move(file)) {}

private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        // One write a line: other processes append to the file, too. A full disk loses lines.
        [[maybe_unused]] const ssize_t ignored = ::write(file_.get(), line.data(), line.size());
    }
    void flush_() override {}

    UniqueFd file_;  // one thread at a time: `mutex` is held
};

std::shared_ptr<spdlog::logger> logger_to(spdlog::sink_ptr sink, const Target& target) {
    auto made = std::make_shared<spdlog::logger>(target.program, std::move(sink));
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    const std::string who =
        target.role.empty() ? target.program : target.program + "/" + target.role;
    made->set_pattern(target.syslog ? "%v" : "%Y-%m-%d %H:%M:%S.%e %P %^%l%$ " + who + " %v");
    return made;
}

Result<std::shared_ptr<spdlog::logger>> make_logger(const Target& target) {
    spdlog::sink_ptr sink;
    try {
        if (target.syslog) {
            sink = std::make_shared<SyslogSink>(target.program);
        } else if (!target.file.empty()) {
            const mode_t before = ::umask(0027);
            sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(target.file);
            ::umask(before);
        } else {
            sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
        }
    } catch (const spdlog::spdlog_ex& problem) {
        return Error{ErrorKind::unavailable, "log.open", problem.what()};
    }
    return logger_to(std::move(sink), target);
}

std::shared_ptr<spdlog::logger> default_logger() {
    Target target;
    target.program = "qvd";
    return make_logger(target).value();
}

std::string line_of(std::string_view event, const Fields& fields, std::string_view sentence) {
    std::string line = "event=" + std::string(event);
    for (const Field& field : fields) line += " " + field.key + "=" + field.value;
    if (!sentence.empty()) line += ": " + std::string(sentence);
    // One event is one line, whatever a foreign text holds.
    std::ranges::replace_if(
        line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return line;
}

bool needs_quotes(std::string_view text) {
    return text.empty() || !std::ranges::all_of(text, [](char c) {
               return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
           });
}

}  // namespace

Field::Field(std::string_view name, std::string_view text)
    : key(name), value(needs_quotes(text) ? text::quoted(text) : std::string(text)) {
}

Result<Level> parse_level(std::string_view name) {
    static constexpr std::array<std::pair<std::string_view, Level>, 9> names{{
        {"all", Level::trace},
        {"trace", Level::trace},
        {"debug", Level::debug},
        {"info", Level::info},
        {"warn", Level::warn},
        {"warning", Level::warn},
        {"error", Level::error},
        {"fatal", Level::fatal},
        {"off", Level::off},
    }};
    for (const auto& [known, level] : names)
        if (text::equals_ignoring_case(name, known)) return level;
    return Error{ErrorKind::invalid, "log.level",
                 "unknown log level " + text::quoted(name) +
                     " (known: ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL, OFF)"};
}

Result<void> open(const Target& target) {
    QVD_TRY(auto made, make_logger(target));
    const std::scoped_lock lock(mutex);
    logger = std::move(made);
    current_target = target;
    current_level = target.level;
    return {};
}

Result<void> reopen() {
    Target target;
    {
        const std::scoped_lock lock(mutex);
        if (!logger) return {};
        target = current_target;
        target.level = current_level;
    }
    return open(target);
}

Result<UniqueFd> share_file() {
    const std::scoped_lock lock(mutex);
    if (current_target.syslog || current_target.file.empty()) return UniqueFd{};
    constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
    UniqueFd file{::open(current_target.file.c_str(), flags, 0640)};  // NOLINT(*-vararg): open is
    if (!file) return errno_error("log.open", "cannot open " + current_target.file);
    return file;
}

void continue_in(UniqueFd file) {
    const std::scoped_lock lock(mutex);
    current_target.syslog = false;
    logger = logger_to(std::make_shared<DescriptorSink>(std::move(file)), current_target);
}

void set_level(Level level) {
    const std::scoped_lock lock(mutex);
    current_level = level;
}

bool enabled(Level level) {
    const std::scoped_lock lock(mutex);
    return captured != nullptr || (level >= current_level && current_level != Level::off);
}

void write(Level level, std::string_view event, const Fields& fields, std::string_view sentence) {
    if (!enabled(level)) return;
    const std::string line = line_of(event, fields, sentence);
    const std::scoped_lock lock(mutex);
    if (captured != nullptr) {
        captured->push_back(line);
        return;
    }
    if (!logger) logger = default_logger();
    logger->log(native(level), "{}", line);
}

Capture::Capture() {
    const std::scoped_lock lock(mutex);
    captured = new std::vector<std::string>;  // NOLINT: owned until the destructor
}

Capture::~Capture() {
    const std::scoped_lock lock(mutex);
    delete captured;  // NOLINT
    captured = nullptr;
}

// Of the one that lives: the lines are beside the lock that guards them.
// NOLINTNEXTLINE(readability-convert-member-functions-to-static)
std::vector<std::string> Capture::lines() const {
    const std::scoped_lock lock(mutex);
    return *captured;
}

bool Capture::contains(std::string_view part) const {
    return std::ranges::any_of(
        lines(), [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace qvd::log
