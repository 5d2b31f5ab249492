// The properties syntax of node.conf, vma.conf and client.conf: `key = value`, `key: value` or
// `key value`; `#` and `!` begin comments; a backslash escapes (\n \t \r \f \uXXXX, any other
// character itself) and, at the end of a line, continues it. Blanks around a value are dropped: one
// that must stay is written `\ `. Text is UTF-8.
#pragma once

#include "base/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::config {

// What one key says and where: "node.conf:14" of the line on which the key begins.
struct Entry {
    std::string value;
    std::string where;
};

// Keys in alphabetical order, unexpanded: `${}` is the View's business.
class Properties {
public:
    // Longest file and longest value, in bytes; most keys. What is beyond is an error, never cut.
    static constexpr std::size_t file_limit = 1U << 20U;
    static constexpr std::size_t value_limit = 64U << 10U;
    static constexpr std::size_t key_limit = 10'000;

    // `name` stands before the line number in errors and in Entry::where. Reads nothing else than
    // `text`: safe for any bytes. Errors: config.syntax.
    static Result<Properties> parse(std::string_view text, std::string_view name);
    // The file's content, parsed. Errors: config.syntax, file.*.
    static Result<Properties> read(const std::string& path);

    // The later one wins.
    void set(std::string key, std::string value, std::string where);
    void merge(const Properties& later);

    [[nodiscard]] const Entry* find(std::string_view key) const;
    [[nodiscard]] const std::map<std::string, Entry, std::less<>>& entries() const {
        return entries_;
    }
    // One sentence for each key that a file gives twice.
    [[nodiscard]] const std::vector<Entry>& repeated() const { return repeated_; }

private:
    std::map<std::string, Entry, std::less<>> entries_;
    std::vector<Entry> repeated_;
};

}  // namespace qvd::config
