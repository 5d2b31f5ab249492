// The memory store: osfs, dis and their tags.
#include "store/checks.hpp"
#include "store/memory/tables.hpp"

#include <algorithm>
#include <ctime>

namespace qvd::store {

namespace {

using memory::DiRow;
using memory::Tables;

bool has_tag(const Di& di, std::string_view tag) {
    return std::ranges::any_of(di.tags, [&](const DiTag& t) { return t.tag == tag; });
}

// Gives `di` the tag, taken from the sibling that has it.
Result<void> give_tag(Tables& tables, Di& di, const std::string& tag, bool fixed) {
    if (DiRow* const holder = tables.tagged(di.osf, tag)) {
        for (const DiTag& held : holder->di.tags)
            if (held.tag == tag && held.fixed && holder->di.id != di.id)
                return answers::conflict(
                    "tag.fixed", "\"" + tag + "\" is the version of another image of the osf");
        if (holder->di.id == di.id) return {};
        std::erase_if(holder->di.tags, [&](const DiTag& held) { return held.tag == tag; });
    }
    di.tags.push_back({tag, fixed});
    return {};
}

std::string version_of_day(Timestamp now, int number) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm day{};
    ::gmtime_r(&seconds, &day);
    std::array<char, 32> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d-", &day);
    const std::string digits = std::to_string(1000 + number).substr(1);
    return std::string(text.data(), length) + digits;
}

Result<std::string> free_version(Tables& tables, OsfId osf) {
    for (int number = 0; number < 1000; ++number) {
        std::string version = version_of_day(tables.now(), number);
        const bool used = std::ranges::any_of(tables.dis, [&](const auto& entry) {
            return entry.second.di.osf == osf &&
                   (entry.second.di.version == version || has_tag(entry.second.di, version));
        });
        if (!used) return version;
    }
    return answers::conflict("di.versions_used_up",
                             "the osf has 1000 images of today; give the version yourself");
}

// What the schema asks of an osf.
Result<void> sound(const Tables& tables, const Osf& osf) {
    QVD_CHECK(checks::name("osf.name", osf.name));
    if (osf.memory_mib < 1 || osf.memory_mib > (1LL << 24))
        return answers::violated("osfs_memory_check");
    if (osf.user_storage_mib < 0 || osf.user_storage_mib > (1LL << 30))
        return answers::violated("osfs_user_storage_check");
    for (const auto& [known, row] : tables.osfs)
        if (row.osf.name == osf.name && known != osf.id) return answers::violated("osfs_name_key");
    return {};
}

}  // namespace

Async<OsfId> MemoryStore::add_osf(Osf osf) {
    QVD_CO_CHECK(co_await ready());
    osf.id = OsfId{};
    QVD_CO_CHECK(sound(*tables_, osf));
    const OsfId id{tables_->next_id()};
    osf.id = id;
    tables_->osfs[id] = {std::move(osf), {}};
    co_return id;
}

Async<void> MemoryStore::edit_osf(OsfId osf, OsfEdit edit) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->osfs.find(osf);
    if (found == tables_->osfs.end()) co_return answers::missing("osf", osf.value());
    Osf changed = found->second.osf;
    changed.name = edit.name.value_or(changed.name);
    changed.memory_mib = edit.memory_mib.value_or(changed.memory_mib);
    changed.use_overlay = edit.use_overlay.value_or(changed.use_overlay);
    changed.user_storage_mib = edit.user_storage_mib.value_or(changed.user_storage_mib);
    QVD_CO_CHECK(sound(*tables_, changed));
    if (changed.name != found->second.osf.name) tables_->announce_vms();
    found->second.osf = std::move(changed);
    co_return Result<void>{};
}

Async<void> MemoryStore::delete_osf(OsfId osf) {
    QVD_CO_CHECK(co_await ready());
    if (!tables_->osfs.contains(osf)) co_return answers::missing("osf", osf.value());
    for (const auto& [id, row] : tables_->vms)
        if (row.vm.osf == osf) co_return answers::violated("vms_osf_fkey", true);
    for (const auto& [id, row] : tables_->dis)
        if (row.di.osf == osf) co_return answers::violated("dis_osf_fkey", true);
    tables_->osfs.erase(osf);
    co_return Result<void>{};
}

Async<std::vector<OsfRecord>> MemoryStore::osfs() {
    QVD_CO_CHECK(co_await ready());
    std::vector<OsfRecord> all;
    for (const auto& [id, row] : tables_->osfs) {
        OsfRecord record{row.osf, 0, 0};
        for (const auto& [vm, vm_row] : tables_->vms) record.vms += vm_row.vm.osf == id ? 1 : 0;
        for (const auto& [di, di_row] : tables_->dis) record.dis += di_row.di.osf == id ? 1 : 0;
        all.push_back(std::move(record));
    }
    co_return all;
}

Async<DiId> MemoryStore::reserve_di() {
    QVD_CO_CHECK(co_await ready());
    co_return DiId{tables_->next_id()};
}

Async<Di> MemoryStore::add_di(NewDi di) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(checks::image_name(di.name));
    if (!tables_->osfs.contains(di.osf)) co_return answers::missing("osf", di.osf.value());
    if (di.version.empty()) {
        QVD_CO_TRY(di.version, free_version(*tables_, di.osf));
    }
    QVD_CO_CHECK(checks::version(di.version));
    for (const auto& [known, row] : tables_->dis)
        if (row.di.osf == di.osf && row.di.version == di.version)
            co_return answers::violated("dis_version_key");
    const DiId id = di.id.value() > 0 ? di.id : DiId{tables_->next_id()};
    Di added{id, memory::new_uuid(), di.osf, id.text() + "-" + di.name, di.version, {}};
    added.size_bytes = di.size_bytes;
    added.checksum = di.checksum;
    QVD_CO_CHECK(give_tag(*tables_, added, di.version, true));
    QVD_CO_CHECK(give_tag(*tables_, added, "head", false));
    if (tables_->tagged(di.osf, "default") == nullptr)
        QVD_CO_CHECK(give_tag(*tables_, added, "default", false));
    std::ranges::sort(added.tags, {}, &DiTag::tag);
    tables_->dis[id] = {added, {}};
    tables_->announce_vms();
    co_return added;
}

namespace {

// The newest image of the OSF that is left takes the tags that mean one of several.
Result<void> inherit_tags(memory::Tables& tables, const Di& gone) {
    for (auto it = tables.dis.rbegin(); it != tables.dis.rend(); ++it) {
        if (it->second.di.osf != gone.osf) continue;
        for (const std::string tag : {"head", "default"})
            if (has_tag(gone, tag)) QVD_CHECK(give_tag(tables, it->second.di, tag, false));
        break;
    }
    return {};
}

}  // namespace

Async<void> MemoryStore::delete_di(DiId di) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->dis.find(di);
    if (found == tables_->dis.end()) co_return answers::missing("di", di.value());
    for (const auto& [id, row] : tables_->vms)
        if (row.runtime.current_di == di) co_return answers::violated("vm_runtimes_di_fkey", true);
    const Di gone = found->second.di;
    tables_->dis.erase(found);
    tables_->announce_vms();
    for (auto& [id, row] : tables_->vms)
        if (row.checkpoint && row.checkpoint->di && row.checkpoint->di->id == di)
            row.checkpoint->di.reset();
    co_return inherit_tags(*tables_, gone);
}

Async<std::vector<DiRecord>> MemoryStore::dis() {
    QVD_CO_CHECK(co_await ready());
    std::vector<DiRecord> all;
    for (const auto& [id, row] : tables_->dis) {
        DiRecord record{row.di, tables_->osfs.at(row.di.osf).osf.name};
        std::ranges::sort(record.di.tags, {}, &DiTag::tag);
        for (const auto& [vm, vm_row] : tables_->vms) {
            record.vms += vm_row.vm.osf == row.di.osf && has_tag(row.di, vm_row.vm.di_tag) ? 1 : 0;
            record.vms_running += vm_row.runtime.current_di == id ? 1 : 0;
        }
        all.push_back(std::move(record));
    }
    co_return all;
}

Async<void> MemoryStore::tag_di(DiId di, std::string tag) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(checks::tag(tag));
    const auto found = tables_->dis.find(di);
    if (found == tables_->dis.end()) co_return answers::missing("di", di.value());
    const bool had = has_tag(found->second.di, tag);
    const Result<void> given = give_tag(*tables_, found->second.di, tag, false);
    if (given.ok() && !had) tables_->announce_vms();
    co_return given;
}

Async<void> MemoryStore::untag_di(DiId di, std::string tag) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->dis.find(di);
    if (found == tables_->dis.end()) co_return answers::missing("di", di.value());
    auto& tags = found->second.di.tags;
    const auto held = std::ranges::find(tags, tag, &DiTag::tag);
    if (held == tags.end())
        co_return Error{ErrorKind::not_found, "tag.not_found",
                        "image " + di.text() + " has no tag \"" + tag + "\""};
    if (held->fixed)
        co_return answers::conflict("tag.fixed",
                                    "\"" + tag + "\" is the version of the image and stays");
    if (tag == "head")
        co_return answers::conflict("tag.head", "\"head\" can only move to another image");
    tags.erase(held);
    tables_->announce_vms();
    co_return Result<void>{};
}

}  // namespace qvd::store
