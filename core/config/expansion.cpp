#include "config/expansion.hpp"

namespace qvd::config {

namespace {

// Deeper than anyone nests values, shallow enough for the stack.
constexpr std::size_t deepest = 32;

Error wrong(std::string sentence) {
    return {ErrorKind::invalid, "config.value", std::move(sentence)};
}

}  // namespace

// expand() → reference() → resolve() → try_candidate() → expand(): as deep as values are nested,
// which reference() bounds. NOLINTBEGIN(misc-no-recursion)
Setting Expansion::settle(const std::string& name, const Declaration& declaration) {
    const Resolved& resolved = resolve(name, declaration.has(file_only));
    return {name, resolved.value, resolved.origin, resolved.where, &declaration};
}

Result<std::string> Expansion::expand(std::string_view text, bool files_only) {
    std::string out;
    for (;;) {
        const std::size_t at = text.find("${");
        out.append(text.substr(0, at));
        if (out.size() > Properties::value_limit) return wrong("the value becomes too long");
        if (at == std::string_view::npos) return out;
        text.remove_prefix(at + 2);
        const std::size_t end = text.find('}');
        if (end == std::string_view::npos) return wrong("a ${ is not closed with }");
        const std::string_view name = text.substr(0, end);
        text.remove_prefix(end + 1);
        if (name == "{") {
            out += "${";
            continue;
        }
        QVD_TRY(const std::string value, reference(std::string(name), files_only));
        out += value;
    }
}

Result<std::string> Expansion::reference(const std::string& name, bool files_only) {
    const Declaration* const declared = layers_.keys.find(name);
    if (declared != nullptr && declared->has(secret))
        return wrong("${" + name + "} would show a secret");
    files_only = files_only || (declared != nullptr && declared->has(file_only));
    const std::string own = layers_.keys.canonical(name);
    if (open_.contains({own, files_only})) return wrong("${" + name + "} refers back to itself");
    if (open_.size() >= deepest) return wrong("${" + name + "} is nested too deeply");
    const Resolved& resolved = resolve(own, files_only);
    if (!resolved.value) return wrong("${" + name + "} has no value");
    return *resolved.value;
}

const Expansion::Resolved& Expansion::resolve(const std::string& name, bool files_only) {
    const Name key{name, files_only};
    if (const auto found = done_.find(key); found != done_.end()) return found->second;
    open_.insert(key);
    Resolved resolved;
    bool turned_down = false;
    for (const Candidate& candidate : candidates(name, files_only)) {
        auto value = try_candidate(name, candidate, files_only);
        if (value.ok()) {
            resolved = {std::move(*value), candidate.origin, candidate.where};
            break;
        }
        turned_down = true;
        const bool from_database = candidate.origin == Origin::database;
        if (from_database) rejected_.insert(name);
        const std::string sentence = value.error().sentence();
        report({from_database ? Finding::Severity::warning : Finding::Severity::error,
                candidate.where, name,
                candidate.name == name ? sentence : candidate.name + " stands for " + sentence});
    }
    if (turned_down && !resolved.value) failed_.insert(name);
    open_.erase(key);
    return done_.insert_or_assign(key, std::move(resolved)).first->second;
}

// A key may be worked out twice, with the database and without: what is wrong is said once.
void Expansion::report(Finding finding) {
    for (const Finding& known : findings_)
        if (known.key == finding.key && known.where == finding.where &&
            known.sentence == finding.sentence)
            return;
    findings_.push_back(std::move(finding));
}

std::vector<Expansion::Candidate> Expansion::candidates(const std::string& name,
                                                        bool files_only) const {
    const Declaration* const declared = layers_.keys.find(name);
    std::vector<std::string> names{name};
    if (declared != nullptr && declared->name == name)
        names.insert(names.end(), declared->aliases.begin(), declared->aliases.end());
    std::vector<Candidate> found;
    // In each layer the first of the names that it knows.
    for (const std::string& one : names) {
        const auto row = layers_.database.find(one);
        if (files_only || row == layers_.database.end()) continue;
        found.push_back({one, row->second, Origin::database, "the database"});
        break;
    }
    for (const std::string& one : names) {
        const Entry* const entry = layers_.file.find(one);
        if (entry == nullptr) continue;
        found.push_back({one, entry->value, Origin::file, entry->where});
        break;
    }
    if (declared != nullptr && declared->fallback && !declared->is_family())
        found.push_back({name, *declared->fallback, Origin::fallback, "the default"});
    return found;
}

Result<std::string> Expansion::try_candidate(const std::string& name, const Candidate& candidate,
                                             bool files_only) {
    auto value = expand(candidate.text, files_only);
    if (!value.ok()) return value.error().within(name);
    if (const Declaration* const declared = layers_.keys.find(name))
        QVD_CHECK(check_value(*declared, *value));
    return value;
}

// NOLINTEND(misc-no-recursion)

bool has_open_reference(std::string_view text) {
    for (std::size_t at = text.find("${"); at != std::string_view::npos; at = text.find("${", at)) {
        at = text.find('}', at);
        if (at == std::string_view::npos) return true;
    }
    return false;
}

}  // namespace qvd::config
