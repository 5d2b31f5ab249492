#include "config/view.hpp"

#include "config/expansion.hpp"
#include "config/nearest_key.hpp"
#include "config/upstream_keys.hpp"

#include <stdexcept>

namespace qvd::config {

namespace {

constexpr auto error = Finding::Severity::error;
constexpr auto warning = Finding::Severity::warning;

// Why a key that nobody declared does nothing.
std::string about_unknown(const KeySet& keys, const std::string& name) {
    const KnownKey known = known_without_effect(name, keys);
    std::string near = slipped_from(keys, name);
    // Whoever mistypes a key of a family that means nothing here did not mean that family.
    if (!known.why.empty() && (known.by_name || near.empty()))
        return name + " has no effect here: " + std::string(known.why);
    if (near.empty()) near = keys.nearest(name);
    return "there is no key \"" + name + "\"" +
           (near.empty() ? std::string() : "; did you mean \"" + near + "\"?");
}

constexpr std::string_view open_reference = "a ${ is not closed with }";

std::string outranked(const std::string& alias, const std::string& own) {
    return alias + " has no effect beside " + own + ", which it is another name of";
}

void mention_unused(const KeySet& keys, const Properties& file, const View::Values& database,
                    std::vector<Finding>& findings) {
    for (const Entry& entry : file.repeated())
        findings.push_back({warning, entry.where, {}, entry.value});
    for (const auto& [name, entry] : file.entries()) {
        if (keys.find(name) == nullptr) {
            findings.push_back({warning, entry.where, name, about_unknown(keys, name)});
            // Nobody reads it, so nobody expands it: its writer is told all the same.
            if (has_open_reference(entry.value))
                findings.push_back(
                    {error, entry.where, name, name + ": " + std::string(open_reference)});
        } else if (const std::string own = keys.canonical(name);
                   own != name && file.find(own) != nullptr) {
            findings.push_back({warning, entry.where, name, outranked(name, own)});
        }
    }
    for (const auto& [name, value] : database) {
        const Declaration* const declaration = keys.find(name);
        if (declaration == nullptr)
            findings.push_back({warning, "the database", name, about_unknown(keys, name)});
        else if (const std::string own = keys.canonical(name);
                 own != name && database.contains(own))
            findings.push_back({warning, "the database", name, outranked(name, own)});
        else if (declaration->has(file_only))
            findings.push_back({warning, "the database", name,
                                name + " is read from the file only; this value has no effect"});
    }
}

using Settings = std::map<std::string, Setting, std::less<>>;

Settings settle_all(const Layers& layers, Expansion& expansion) {
    Settings settings;
    const auto settle = [&](const std::string& given) {
        const std::string name = layers.keys.canonical(given);
        const Declaration* const declaration = layers.keys.find(name);
        if (declaration == nullptr || settings.contains(name)) return;
        settings.emplace(name, expansion.settle(name, *declaration));
    };
    for (const auto& [name, declaration] : layers.keys.all())
        if (!declaration.is_family()) settle(name);
    for (const auto& [name, entry] : layers.file.entries()) settle(name);
    for (const auto& [name, value] : layers.database) settle(name);
    return settings;
}

}  // namespace

struct View::Snapshot {
    std::shared_ptr<const KeySet> keys;
    std::shared_ptr<const Properties> file;
    View::Values database;
    Settings settings;
    std::vector<Finding> findings;

    void settle() {
        View::Values trusted = database;
        for (;;) {
            const Layers layers{*keys, trusted, *file};
            Expansion expansion(layers);
            settings = settle_all(layers, expansion);
            auto found = expansion.take_findings();
            findings.insert(findings.end(), found.begin(), found.end());
            // A mistake in the database must not take a key away that the file answers well:
            // without the values turned down, the others may stand.
            if (expansion.failed().empty() || expansion.rejected().empty()) break;
            findings.clear();
            for (const Finding& finding : found)
                if (finding.where == "the database") findings.push_back(finding);
            for (const std::string& name : expansion.rejected()) trusted.erase(name);
        }
        mention_unused(*keys, *file, database, findings);
    }
};

std::string_view to_string(Origin origin) {
    switch (origin) {
        case Origin::fallback:
            return "default";
        case Origin::file:
            return "file";
        case Origin::database:
            return "database";
    }
    return "default";
}

std::string Setting::shown() const {
    if (!value) return {};
    return declaration->has(secret) && !value->empty() ? "********" : *value;
}

View::View(std::shared_ptr<const KeySet> keys, Properties file) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->keys = std::move(keys);
    snapshot->file = std::make_shared<const Properties>(std::move(file));
    snapshot->settle();
    snapshot_ = std::move(snapshot);
}

View View::with_database(const Values& values) const {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->keys = snapshot_->keys;
    snapshot->file = snapshot_->file;
    snapshot->database = values;
    snapshot->settle();
    View view;
    view.snapshot_ = std::move(snapshot);
    return view;
}

View View::with_keys(std::shared_ptr<const KeySet> keys) const {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->keys = std::move(keys);
    snapshot->file = snapshot_->file;
    snapshot->database = snapshot_->database;
    snapshot->settle();
    View view;
    view.snapshot_ = std::move(snapshot);
    return view;
}

const std::vector<Finding>& View::findings() const {
    return snapshot_->findings;
}

Result<void> View::check() const {
    std::string sentences;
    for (const Finding& finding : findings()) {
        if (finding.severity != error) continue;
        if (!sentences.empty()) sentences += '\n';
        sentences += finding.text();
    }
    if (sentences.empty()) return {};
    return Error{ErrorKind::invalid, "config.invalid", sentences};
}

std::vector<std::string> View::missing() const {
    std::vector<std::string> names;
    for (const auto& [name, setting] : all())
        if (setting.declaration->has(required) && (!setting.value || setting.value->empty()))
            names.push_back(name);
    return names;
}

std::optional<std::string> View::text(std::string_view name) const {
    if (const Setting* const found = setting(name)) return found->value;
    if (snapshot_->keys->find(name) == nullptr) throw UndeclaredKey(name);
    return std::nullopt;
}

std::string View::required_text(std::string_view name) const {
    auto value = text(name);
    if (!value)
        throw std::logic_error("the configuration key " + std::string(name) +
                               " has no value; find() asks whether there is one");
    return *std::move(value);
}

View::Values View::family(std::string_view name) const {
    if (!snapshot_->keys->all().contains(name) || !name.ends_with(".*")) throw UndeclaredKey(name);
    const std::string_view prefix = name.substr(0, name.size() - 1);
    Values values;
    for (auto at = all().lower_bound(prefix); at != all().end() && at->first.starts_with(prefix);
         ++at)
        if (at->second.value && at->second.declaration->name == name)
            values.emplace(at->first.substr(prefix.size()), *at->second.value);
    return values;
}

const std::map<std::string, Setting, std::less<>>& View::all() const {
    return snapshot_->settings;
}

const Setting* View::setting(std::string_view name) const {
    const auto found = all().find(keys().canonical(name));
    return found == all().end() ? nullptr : &found->second;
}

std::vector<std::string> View::unknown() const {
    std::vector<std::string> names;
    const auto consider = [&](const std::string& name) {
        if (keys().find(name) == nullptr) names.push_back(name);
    };
    for (const auto& [name, entry] : snapshot_->file->entries()) consider(name);
    for (const auto& [name, value] : snapshot_->database)
        if (snapshot_->file->find(name) == nullptr) consider(name);
    return names;
}

Result<void> View::check_change(std::string_view name, std::string_view value) const {
    const Declaration* const declaration = keys().find(name);
    if (declaration == nullptr)
        return Error{ErrorKind::invalid, "config.unknown",
                     about_unknown(keys(), std::string(name))};
    if (declaration->has(file_only))
        return Error{ErrorKind::invalid, "config.file_only",
                     std::string(name) + " is read from the file only: set it there"};
    Values values = snapshot_->database;
    values.insert_or_assign(std::string(name), std::string(value));
    const View changed = with_database(values);
    for (const Finding& finding : changed.findings())
        if (finding.where == "the database" && finding.key == keys().canonical(name))
            return Error{ErrorKind::invalid, "config.value", finding.sentence};
    return {};
}

const KeySet& View::keys() const {
    return *snapshot_->keys;
}

}  // namespace qvd::config
