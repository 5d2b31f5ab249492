#include "config/properties.hpp"

#include "base/file.hpp"

#include <cstdint>
#include <optional>

namespace qvd::config {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\f';
}

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20U && !is_blank(c)) || byte == 0x7FU;
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto tail = [&](unsigned shift) {
        out += static_cast<char>(0x80U | (code >> shift & 0x3FU));
    };
    if (code < 0x80U) {
        out += static_cast<char>(code);
    } else if (code < 0x800U) {
        out += static_cast<char>(0xC0U | code >> 6U);
        tail(0);
    } else if (code < 0x10000U) {
        out += static_cast<char>(0xE0U | code >> 12U);
        tail(6);
        tail(0);
    } else {
        out += static_cast<char>(0xF0U | code >> 18U);
        tail(12);
        tail(6);
        tail(0);
    }
}

// One logical line: its lines joined at trailing backslashes.
struct Line {
    std::string text;
    std::size_t number = 0;
};

// Cuts a text into logical lines without blank ones and comments.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text) {}

    std::optional<Line> next() {
        while (!rest_.empty()) {
            std::string_view line = physical();
            if (line.empty() || line.front() == '#' || line.front() == '!') continue;
            Line whole{{}, number_};
            while (continues(line) && !rest_.empty()) {
                whole.text.append(line.substr(0, line.size() - 1));
                line = physical();
            }
            // A backslash at the very end of the file continues nothing.
            if (continues(line)) line.remove_suffix(1);
            whole.text.append(line);
            return whole;
        }
        return std::nullopt;
    }

private:
    // The next line without its end and its leading blanks.
    std::string_view physical() {
        ++number_;
        const std::size_t end = rest_.find('\n');
        std::string_view line = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
        return line;
    }

    static bool continues(std::string_view line) {
        std::size_t count = 0;
        while (count < line.size() && line[line.size() - 1 - count] == '\\') ++count;
        return count % 2 == 1;
    }

    std::string_view rest_;
    std::size_t number_ = 0;
};

// Reads key and value of one logical line.
class LineReader {
public:
    explicit LineReader(std::string_view line) : line_(line) {}

    Result<std::string> key() {
        std::string key;
        while (at_ < line_.size() && !is_blank(line_[at_]) && line_[at_] != '=' &&
               line_[at_] != ':')
            QVD_CHECK(character(key));
        skip_blanks();
        if (at_ < line_.size() && (line_[at_] == '=' || line_[at_] == ':')) ++at_;
        skip_blanks();
        if (key.empty()) return wrong("there is no key before the value");
        return key;
    }

    Result<std::string> value() {
        std::string value;
        std::size_t kept = 0;  // everything up to the last character that is no bare blank
        while (at_ < line_.size()) {
            const bool blank = is_blank(line_[at_]);
            QVD_CHECK(character(value));
            if (!blank) kept = value.size();
            if (value.size() > Properties::value_limit) return wrong("the value is too long");
        }
        value.resize(kept);
        return value;
    }

private:
    static Error wrong(std::string sentence) {
        return {ErrorKind::invalid, "config.syntax", std::move(sentence)};
    }

    void skip_blanks() {
        while (at_ < line_.size() && is_blank(line_[at_])) ++at_;
    }

    Result<void> character(std::string& out) {
        const char c = line_[at_++];
        if (is_control(c)) return wrong("there is a control character in the line");
        if (c != '\\') {
            out += c;
            return {};
        }
        return escape(out);
    }

    Result<void> escape(std::string& out) {
        if (at_ >= line_.size()) return {};
        const char c = line_[at_++];
        switch (c) {
            case 'n':
                out += '\n';
                return {};
            case 't':
                out += '\t';
                return {};
            case 'r':
                out += '\r';
                return {};
            case 'f':
                out += '\f';
                return {};
            case 'u':
                return unicode(out);
            default:
                break;
        }
        if (is_control(c)) return wrong("there is a control character in the line");
        out += c;
        return {};
    }

    Result<void> unicode(std::string& out) {
        QVD_TRY(std::uint32_t code, four_digits());
        if (code >= 0xD800U && code < 0xDC00U && line_.substr(at_, 2) == "\\u") {
            at_ += 2;
            QVD_TRY(const std::uint32_t low, four_digits());
            if (low < 0xDC00U || low > 0xDFFFU) return wrong("\\u has half of a character");
            code = 0x10000U + ((code - 0xD800U) << 10U) + (low - 0xDC00U);
        }
        if (code == 0 || (code >= 0xD800U && code <= 0xDFFFU))
            return wrong("\\u names no character");
        append_utf8(out, code);
        return {};
    }

    Result<std::uint32_t> four_digits() {
        std::uint32_t code = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = at_ < line_.size() ? line_[at_] : '\0';
            const bool digit = c >= '0' && c <= '9';
            const char letter = static_cast<char>(static_cast<unsigned char>(c) | 0x20U);
            if (!digit && (letter < 'a' || letter > 'f'))
                return wrong("\\u needs four hexadecimal digits");
            code = code << 4U | static_cast<std::uint32_t>(digit ? c - '0' : letter - 'a' + 10);
        }
        return code;
    }

    std::string_view line_;
    std::size_t at_ = 0;
};

}  // namespace

Result<Properties> Properties::parse(std::string_view text, std::string_view name) {
    if (text.size() > file_limit)
        return Error{ErrorKind::invalid, "config.syntax",
                     std::string(name) + " is longer than 1 MiB"};
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    Properties properties;
    Lines lines(text);
    while (const auto line = lines.next()) {
        const std::string where = std::string(name) + ":" + std::to_string(line->number);
        LineReader reader(line->text);
        auto key = reader.key();
        if (!key.ok()) return key.error().within(where);
        auto value = reader.value();
        if (!value.ok()) return value.error().within(where);
        if (const Entry* const earlier = properties.find(*key))
            properties.repeated_.push_back(
                {"\"" + *key + "\" is given again; the value at " + earlier->where + " is lost",
                 where});
        properties.set(std::move(*key), std::move(*value), where);
        if (properties.entries_.size() > key_limit)
            return Error{ErrorKind::invalid, "config.syntax", where + ": there are too many keys"};
    }
    return properties;
}

Result<Properties> Properties::read(const std::string& path) {
    QVD_TRY(const std::string text, file::read(path, file_limit));
    return parse(text, path);
}

void Properties::set(std::string key, std::string value, std::string where) {
    entries_.insert_or_assign(std::move(key), Entry{std::move(value), std::move(where)});
}

void Properties::merge(const Properties& later) {
    for (const auto& [key, entry] : later.entries_) entries_.insert_or_assign(key, entry);
    repeated_.insert(repeated_.end(), later.repeated_.begin(), later.repeated_.end());
}

const Entry* Properties::find(std::string_view key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace qvd::config
