// qa OBJECT propset, propget and propdel.
#include "admin/administration.hpp"
#include "base/text.hpp"
#include "store/checks.hpp"

#include <algorithm>

namespace qvd::admin {

namespace {

// As commands and the audit name them.
std::string_view word_for(store::Owner owner) {
    switch (owner) {
        case store::Owner::user:
            return "user";
        case store::Owner::vm:
            return "vm";
        case store::Owner::osf:
            return "osf";
        case store::Owner::di:
            return "di";
        case store::Owner::node:
            return "host";
    }
    return "thing";
}

Error nothing_fits(store::Owner owner) {
    const std::string word(word_for(owner));
    return {ErrorKind::not_found, word + ".not_found", "no " + word + " fits the filter"};
}

// A host and a VM have a name, a user a login, a DI a path.
std::string label_of(const Row& row) {
    for (const std::string_view key : {"name", "login", "path"})
        if (const Cell* cell = row.find(key)) return cell->value;
    return {};
}

}  // namespace

template <class Entry>
std::vector<Administration::Owned> Administration::owned_by(const std::vector<Entry>& selected) {
    std::vector<Owned> all;
    for (const auto& one : selected)
        if (const auto id = text::to_integer(one.row.find("id")->value))
            all.push_back({*id, label_of(one.row)});
    return all;
}

Async<std::vector<Administration::Owned>> Administration::select_owners(store::Owner owner,
                                                                        Filter filter) {
    switch (owner) {
        case store::Owner::user: {
            QVD_CO_TRY(const auto users, co_await select_users(std::move(filter)));
            co_return owned_by(users);
        }
        case store::Owner::vm: {
            QVD_CO_TRY(const auto vms, co_await select_vms(std::move(filter)));
            co_return owned_by(vms);
        }
        case store::Owner::osf: {
            QVD_CO_TRY(const auto osfs, co_await select_osfs(std::move(filter)));
            co_return owned_by(osfs);
        }
        case store::Owner::di: {
            QVD_CO_TRY(const auto dis, co_await select_dis(std::move(filter)));
            co_return owned_by(dis);
        }
        case store::Owner::node: {
            QVD_CO_TRY(const auto hosts, co_await select_hosts(std::move(filter)));
            co_return owned_by(hosts);
        }
    }
    co_return std::vector<Owned>{};
}

// A property may stand in for a key of the configuration (behaviour 3.3.10): then a value that the
// key cannot have is no use to anybody.
void Administration::warn_of_value(const std::string& key, const std::string& value) {
    if (view_.setting(key) == nullptr) return;
    const auto fits = view_.check_change(key, value);
    if (!fits.ok() && fits.error().code() == "config.value")
        warnings_.push_back(fits.error().sentence() + "; the property is set all the same");
    const auto there = check_plugins(key, value);
    if (!there.ok() && !installed_.empty())
        warnings_.push_back(there.error().sentence() + "; the property is set all the same");
}

Async<int> Administration::set_properties(store::Owner owner, Filter filter, Parameters values) {
    if (values.empty()) co_return Error{ErrorKind::invalid, "usage", "give at least one KEY=VALUE"};
    std::map<std::string, std::optional<std::string>> change;
    std::vector<std::string> keys;
    for (const auto& [key, value] : values) {
        QVD_CO_CHECK(store::checks::property(key, value));
        change.emplace(key, value);
        keys.push_back(key);
    }
    QVD_CO_TRY(const auto owners, co_await select_owners(owner, std::move(filter)));
    if (owners.empty()) co_return nothing_fits(owner);
    for (const auto& [key, value] : values) warn_of_value(key, value);
    const std::string operation = std::string(word_for(owner)) + " propset";
    for (const Owned& one : owners) {
        QVD_CO_CHECK(co_await store_.set_properties(owner, one.id, change));
        co_await audit(operation, one.label + " " + text::join(keys, ","));
    }
    co_return static_cast<int>(owners.size());
}

Async<std::vector<Row>> Administration::properties(store::Owner owner, Filter filter,
                                                   std::vector<std::string> keys) {
    QVD_CO_TRY(const auto owners, co_await select_owners(owner, std::move(filter)));
    QVD_CO_TRY(const auto all, co_await store_.all_properties(owner));
    std::vector<Row> rows;
    for (const Owned& one : owners) {
        const auto own = all.find(one.id);
        if (own == all.end()) continue;
        for (const auto& [key, value] : own->second) {
            if (!keys.empty() && std::ranges::count(keys, key) == 0) continue;
            Row row;
            row.number("id", one.id).text("name", one.label);
            row.text("key", key).given("value", value);
            rows.push_back(std::move(row));
        }
    }
    co_return rows;
}

Async<int> Administration::delete_properties(store::Owner owner, Filter filter,
                                             std::vector<std::string> keys) {
    QVD_CO_TRY(const auto owners, co_await select_owners(owner, std::move(filter)));
    QVD_CO_TRY(const auto all, co_await store_.all_properties(owner));
    const std::string operation = std::string(word_for(owner)) + " propdel";
    int count = 0;
    for (const Owned& one : owners) {
        const auto own = all.find(one.id);
        if (own == all.end()) continue;
        std::map<std::string, std::optional<std::string>> change;
        std::vector<std::string> gone;
        for (const auto& [key, value] : own->second) {
            if (!keys.empty() && std::ranges::count(keys, key) == 0) continue;
            change.emplace(key, std::nullopt);
            gone.push_back(key);
        }
        if (gone.empty()) continue;
        QVD_CO_CHECK(co_await store_.set_properties(owner, one.id, change));
        co_await audit(operation, one.label + " " + text::join(gone, ","));
        ++count;
    }
    co_return count;
}

}  // namespace qvd::admin
