// The log: one line an event, `event=NAME key=value ...: sentence`. Event names are stable; an
// operator greps for them. A Secret has no way into a line.
#pragma once

#include "base/id.hpp"
#include "base/result.hpp"

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::log {

// The documented names (manual 5.3, `log.level`): ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL, OFF.
enum class Level { trace, debug, info, warn, error, fatal, off };

// Any case; ALL is trace. Nothing for an unknown name.
Result<Level> parse_level(std::string_view name);

// One `key=value` of a line; text values are quoted where they need it.
struct Field {
    Field(std::string_view name, std::string_view text);
    Field(std::string_view name, const std::string& text) : Field(name, std::string_view(text)) {}
    Field(std::string_view name, const char* text) : Field(name, std::string_view(text)) {}
    template <std::integral T>
    Field(std::string_view name, T number) : key(name), value(std::to_string(number)) {}
    template <class Tag>
    Field(std::string_view name, Id<Tag> id) : key(name), value(id.text()) {}

    std::string key;
    std::string value;
};
using Fields = std::vector<Field>;

// Where lines go. With neither, they go to standard error.
struct Target {
    std::string file;     // appended; created 0640
    bool syslog = false;  // facility daemon
    std::string program;  // "qvd-node", shown in each line
    std::string role;     // "l7r", "broker", ...; may be empty
    Level level = Level::info;
};

// Opens the target; where the file cannot be opened, an error, and the old target stays.
Result<void> open(const Target& target);
// Opens the same file anew, for log rotation.
Result<void> reopen();
void set_level(Level level);
[[nodiscard]] bool enabled(Level level);

void write(Level level, std::string_view event, const Fields& fields, std::string_view sentence);

inline void trace(std::string_view event, const Fields& fields, std::string_view sentence) {
    write(Level::trace, event, fields, sentence);
}
inline void debug(std::string_view event, const Fields& fields, std::string_view sentence) {
    write(Level::debug, event, fields, sentence);
}
inline void info(std::string_view event, const Fields& fields, std::string_view sentence) {
    write(Level::info, event, fields, sentence);
}
inline void warn(std::string_view event, const Fields& fields, std::string_view sentence) {
    write(Level::warn, event, fields, sentence);
}
inline void error(std::string_view event, const Fields& fields, std::string_view sentence) {
    write(Level::error, event, fields, sentence);
}

// For tests: collects lines instead of writing them while it lives. One at a time.
class Capture {
public:
    Capture();
    ~Capture();
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    [[nodiscard]] bool contains(std::string_view part) const;
    [[nodiscard]] std::vector<std::string> lines() const;
};

}  // namespace qvd::log
