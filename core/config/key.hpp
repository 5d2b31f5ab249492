// Typed configuration keys. Each room declares its own in its keys.hpp:
//
//   inline constexpr config::Key<std::chrono::seconds> takeover_timeout{
//       "internal.l7r.timeout.takeover", "30", "seconds", "how long the other session may take to
//       go", config::internal};
//   inline void declare(config::KeySet& keys) { keys.add(takeover_timeout, ...); }
//
// A plugin's keys are declared at run time as Declarations.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::config {

// What a value may be. `word` is one of the words that `unit` lists, "block|retry|ignore".
enum class Kind {
    text,
    integer,
    number,  // may have decimals; for plugins
    boolean,
    seconds,
    milliseconds,
    bytes,
    mebibytes,
    list,
    path,
    word
};

enum Flag : unsigned {
    file_only = 1U,  // read before, or without, the database: what that says is ignored
    secret = 2U,     // shown as ********
    internal = 4U,   // not for operators; listed only by `qa config list --all`
    required = 8U,   // without it the node is "unconfigured": View::missing() names it
};

// Key<T> with these gives what value_type says: Key<Path> a std::string, Key<Bytes> a number of
// bytes.
struct Path;
struct Word;
struct Bytes;
struct Mebibytes;
using List = std::vector<std::string>;

template <class T>
struct KeyType;
template <>
struct KeyType<std::string> {
    using value_type = std::string;
    static constexpr Kind kind = Kind::text;
};
template <>
struct KeyType<Secret> {
    using value_type = Secret;
    static constexpr Kind kind = Kind::text;
};
template <>
struct KeyType<std::int64_t> {
    using value_type = std::int64_t;
    static constexpr Kind kind = Kind::integer;
};
template <>
struct KeyType<bool> {
    using value_type = bool;
    static constexpr Kind kind = Kind::boolean;
};
template <>
struct KeyType<std::chrono::seconds> {
    using value_type = std::chrono::seconds;
    static constexpr Kind kind = Kind::seconds;
};
template <>
struct KeyType<std::chrono::milliseconds> {
    using value_type = std::chrono::milliseconds;
    static constexpr Kind kind = Kind::milliseconds;
};
template <>
struct KeyType<Bytes> {
    using value_type = std::int64_t;
    static constexpr Kind kind = Kind::bytes;
};
template <>
struct KeyType<Mebibytes> {
    using value_type = std::int64_t;
    static constexpr Kind kind = Kind::mebibytes;
};
template <>
struct KeyType<List> {
    using value_type = List;
    static constexpr Kind kind = Kind::list;
};
template <>
struct KeyType<Path> {
    using value_type = std::string;
    static constexpr Kind kind = Kind::path;
};
template <>
struct KeyType<Word> {
    using value_type = std::string;
    static constexpr Kind kind = Kind::word;
};

// The bounds of a number, both allowed, in the key's own unit.
struct Range {
    std::int64_t min = std::numeric_limits<std::int64_t>::min();
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

// What a text, or each item of a list, must look like where its kind does not say it; those of
// general use are in config/forms.hpp. An empty value will do only where the default is empty.
struct Form {
    std::string_view wanted;  // "an IPv4 address"
    bool (*fits)(std::string_view text);
};

// No default: the key is read with View::find(), which then gives nothing.
inline constexpr const char* unset = nullptr;

// `fallback` may contain ${}; a name that ends in ".*" declares a family (View::family()).
template <class T>
struct Key {
    const char* name = "";
    const char* fallback = unset;
    const char* unit = "";  // "seconds", "MiB", "" or, of a Word, the allowed words
    const char* meaning = "";
    unsigned flags = 0;
    Range range = {};
    const Form* form = nullptr;
    const char* aliases = "";  // other names that old files use, separated by blanks
};

// A key without its C++ type, as programs, plugins and the man page see it.
struct Declaration {
    std::string name = {};
    Kind kind = Kind::text;
    std::optional<std::string> fallback = {};
    std::string unit = {};
    std::string meaning = {};
    unsigned flags = 0;
    Range range = {};
    const Form* form = nullptr;
    std::vector<std::string> aliases = {};

    [[nodiscard]] bool has(Flag flag) const { return (flags & flag) != 0U; }
    [[nodiscard]] bool is_family() const { return name.ends_with(".*"); }
};

// The names in Key::aliases.
std::vector<std::string> names_in(std::string_view aliases);

template <class T>
Declaration declaration_of(const Key<T>& key) {
    Declaration declaration{key.name,  KeyType<T>::kind, std::nullopt,
                            key.unit,  key.meaning,      key.flags,
                            key.range, key.form,         names_in(key.aliases)};
    if (key.fallback != nullptr) declaration.fallback = key.fallback;
    if constexpr (std::is_same_v<T, Secret>) declaration.flags |= secret;
    return declaration;
}

// The keys of one program. Build it once at start, then share it unchanged.
class KeySet {
public:
    // For a room's own keys. Throws std::logic_error for a default that is no value of its kind and
    // for two different declarations of one name.
    template <class... T>
    KeySet& add(const Key<T>&... keys) {
        (insert(declaration_of(keys)), ...);
        return *this;
    }
    // For a plugin's keys: all of them, or none. Errors: config.declaration.
    Result<void> declare(const std::vector<Declaration>& declarations);
    Result<void> declare(Declaration declaration);

    // The declaration that holds for `name`: its own, that of which it is an alias, or its
    // family's. Null if there is none.
    [[nodiscard]] const Declaration* find(std::string_view name) const;
    [[nodiscard]] const std::map<std::string, Declaration, std::less<>>& all() const {
        return declarations_;
    }
    // The name under which an alias is declared; any other name as it is.
    [[nodiscard]] std::string canonical(std::string_view name) const;
    // The declared name most like `name`; empty if none is near.
    [[nodiscard]] std::string nearest(std::string_view name) const;

private:
    void insert(Declaration declaration);

    std::map<std::string, Declaration, std::less<>> declarations_;
    std::map<std::string, std::string, std::less<>> aliases_;  // to the declared name
};

// Whether `value`, fully expanded, is a value of the declared kind and range; the sentence says
// what would be. Errors: config.value.
Result<void> check_value(const Declaration& declaration, std::string_view value);

// The parts of a value; each requires that check_value() was content. Numbers of time and size in
// the declared unit's base: milliseconds, bytes (of mebibytes: MiB).
[[nodiscard]] std::optional<bool> to_boolean(std::string_view value);
[[nodiscard]] std::optional<std::int64_t> to_number(Kind kind, std::string_view value);
// A finite number, perhaps with decimals, whatever the locale.
[[nodiscard]] std::optional<double> to_decimal(std::string_view value);
[[nodiscard]] List to_list(std::string_view value);

}  // namespace qvd::config
