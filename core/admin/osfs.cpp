// qa osf.
#include "admin/administration.hpp"
#include "admin/keys.hpp"
#include "admin/selection.hpp"
#include "admin/values.hpp"
#include "base/text.hpp"

namespace qvd::admin {

namespace {

Result<std::int64_t> memory_of(const std::string& text) {
    QVD_TRY(const std::int64_t mib, parse_size_mib(text));
    constexpr std::int64_t least = 16;
    if (mib < least)
        return Error{ErrorKind::invalid, "osf.memory", "a VM needs at least 16 MiB of memory"};
    return mib;
}

Result<store::Store::OsfEdit> checked_osf_edit(const Parameters& changes) {
    if (changes.empty())
        return Error{
            ErrorKind::invalid, "osf.edit",
            "nothing is to be changed: give name=, memory=, use_overlay= or user_storage_size="};
    store::Store::OsfEdit edit;
    for (const auto& [key, value] : changes) {
        if (key == "name") {
            QVD_TRY(edit.name, checked_name("osf", value));
        } else if (key == "memory") {
            QVD_TRY(edit.memory_mib, memory_of(value));
        } else if (key == "use_overlay") {
            QVD_TRY(edit.use_overlay, parse_boolean(value));
        } else if (key == "user_storage_size") {
            QVD_TRY(edit.user_storage_mib, parse_size_mib(value));
        } else {
            return Error{
                ErrorKind::invalid, "osf.edit",
                text::quoted(key, 64) +
                    " cannot be edited (name, memory, use_overlay, user_storage_size can)"};
        }
    }
    return edit;
}

}  // namespace

Async<OsfId> Administration::add_osf(NewOsf osf) {
    Osf made;
    QVD_CO_TRY(made.name, checked_name("osf", osf.name));
    made.memory_mib = view_.get(osf_memory);
    if (!osf.memory.empty()) {
        QVD_CO_TRY(made.memory_mib, memory_of(osf.memory));
    }
    made.use_overlay = view_.get(osf_overlay);
    if (!osf.use_overlay.empty()) {
        QVD_CO_TRY(made.use_overlay, parse_boolean(osf.use_overlay));
    }
    if (!osf.user_storage_size.empty()) {
        QVD_CO_TRY(made.user_storage_mib, parse_size_mib(osf.user_storage_size));
    }
    QVD_CO_TRY(const OsfId id, co_await store_.add_osf(made));
    co_await audit("osf add", made.name);
    co_return id;
}

Async<int> Administration::edit_osfs(Filter filter, Parameters changes) {
    QVD_CO_TRY(const auto edit, checked_osf_edit(changes));
    QVD_CO_TRY(const auto selected, co_await select_osfs(std::move(filter)));
    if (selected.size() > 1 && edit.name)
        co_return Error{
            ErrorKind::invalid, "osf.edit",
            "a name belongs to one OSF; the filter means " + std::to_string(selected.size())};
    for (const auto& osf : selected) {
        QVD_CO_CHECK(co_await store_.edit_osf(osf.record.osf.id, edit));
        co_await audit("osf edit", osf.record.osf.name);
    }
    co_return static_cast<int>(selected.size());
}

Async<Done> Administration::delete_osfs(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_osfs(std::move(filter)));
    Done done;
    for (const auto& osf : selected) {
        const auto deleted = co_await store_.delete_osf(osf.record.osf.id);
        if (skipped(done, "osf " + osf.record.osf.name, deleted)) continue;
        QVD_CO_CHECK(deleted);
        co_await audit("osf del", osf.record.osf.name);
        ++done.count;
    }
    co_return done;
}

Async<std::vector<Row>> Administration::osfs(Filter filter) {
    QVD_CO_TRY(auto selected, co_await select_osfs(std::move(filter)));
    co_return rows_of(std::move(selected));
}

}  // namespace qvd::admin
