// What a program is configured to do: database over file over default, as one unchanging snapshot.
//
// `${name}` in a value stands for the value of that key, whichever layer it comes from (of a
// file_only key: file or default, also in what it refers to); `${{}` is a plain `${`.
#pragma once

#include "config/key.hpp"
#include "config/properties.hpp"

#include <memory>

namespace qvd::config {

// A mistake in the configuration, or something in it that does nothing.
struct Finding {
    enum class Severity { error, warning };

    Severity severity = Severity::warning;
    std::string where;  // "/etc/qvd/node.conf:14", "the database", "the default"
    std::string key;
    std::string sentence;

    [[nodiscard]] std::string text() const { return where + ": " + sentence; }
};

enum class Origin { fallback, file, database };
std::string_view to_string(Origin origin);

// One key with the value that holds now.
struct Setting {
    std::string name;
    std::optional<std::string> value;  // expanded; nothing where the key is unset
    Origin origin = Origin::fallback;
    std::string where;
    const Declaration* declaration = nullptr;  // lives as long as the View

    // The value as it may be shown: of a secret only that there is one.
    [[nodiscard]] std::string shown() const;
};

// Asking for a key that the program did not declare is a bug of the program.
class UndeclaredKey : public std::logic_error {
public:
    explicit UndeclaredKey(std::string_view name)
        : std::logic_error("the configuration key " + std::string(name) +
                           " is read but not declared") {}
};

// Copies are cheap and may be read from any thread.
class View {
public:
    using Values = std::map<std::string, std::string, std::less<>>;

    // Never fails: what is wrong is in findings(), and such a value gives way to the next layer.
    // `keys` must not change any more.
    View(std::shared_ptr<const KeySet> keys, Properties file);

    // The same files under other contents of the database's table; its wrong values are warnings
    // and give way to the file's.
    [[nodiscard]] View with_database(const Values& values) const;
    // The same files and database read by more keys: those that plugins declared.
    [[nodiscard]] View with_keys(std::shared_ptr<const KeySet> keys) const;

    [[nodiscard]] const std::vector<Finding>& findings() const;
    // All errors among the findings, one a line; start nothing without it. Errors: config.invalid.
    [[nodiscard]] Result<void> check() const;
    // The required keys that have no value.
    [[nodiscard]] std::vector<std::string> missing() const;

    // The value of a key that has a default. Throws UndeclaredKey; and std::logic_error if there is
    // no value, which can only be when check() failed or the key has no default.
    template <class T>
    [[nodiscard]] typename KeyType<T>::value_type get(const Key<T>& key) const {
        return convert<T>(required_text(key.name));
    }
    // The value of a key that may be unset. Throws UndeclaredKey.
    template <class T>
    [[nodiscard]] std::optional<typename KeyType<T>::value_type> find(const Key<T>& key) const {
        const auto value = text(key.name);
        if (!value) return std::nullopt;
        return convert<T>(*value);
    }
    // The expanded text of a key declared at run time. Throws UndeclaredKey.
    [[nodiscard]] std::optional<std::string> text(std::string_view name) const;

    // The keys in use of a family, without the family's prefix: {"StrictHostKeyChecking", "no"}.
    template <class T>
    [[nodiscard]] Values family(const Key<T>& key) const {
        return family(std::string_view(key.name));
    }
    [[nodiscard]] Values family(std::string_view name) const;

    // Every declared key and every key in use of a family, by name. Null if there is no such key.
    [[nodiscard]] const std::map<std::string, Setting, std::less<>>& all() const;
    [[nodiscard]] const Setting* setting(std::string_view name) const;
    // The keys of the files and the database that nobody declared.
    [[nodiscard]] std::vector<std::string> unknown() const;

    // What `qa config set` must ask first: is the key known, not file_only, and would this value
    // do? Errors: config.unknown, config.file_only, config.value.
    [[nodiscard]] Result<void> check_change(std::string_view name, std::string_view value) const;

    [[nodiscard]] const KeySet& keys() const;

private:
    struct Snapshot;

    View() = default;
    [[nodiscard]] std::string required_text(std::string_view name) const;

    template <class T>
    static typename KeyType<T>::value_type convert(const std::string& value);

    std::shared_ptr<const Snapshot> snapshot_;
};

template <class T>
typename KeyType<T>::value_type View::convert(const std::string& value) {
    constexpr Kind kind = KeyType<T>::kind;
    using Value = typename KeyType<T>::value_type;
    if constexpr (kind == Kind::boolean) {
        return *to_boolean(value);
    } else if constexpr (kind == Kind::seconds) {
        return std::chrono::duration_cast<Value>(
            std::chrono::milliseconds(*to_number(kind, value)));
    } else if constexpr (kind == Kind::integer || kind == Kind::milliseconds ||
                         kind == Kind::bytes || kind == Kind::mebibytes) {
        return Value{*to_number(kind, value)};
    } else if constexpr (kind == Kind::list) {
        return to_list(value);
    } else {
        return Value{value};
    }
}

}  // namespace qvd::config
