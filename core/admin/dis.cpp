// qa di.
#include "admin/administration.hpp"
#include "admin/image_kind.hpp"
#include "admin/selection.hpp"
#include "admin/values.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "hkd/vm_plan.hpp"
#include "store/checks.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>

namespace qvd::admin {

namespace {

// A bare name is looked for in the staging folder, as the manual's examples have it.
std::string source_of(const std::string& path, const config::View& view) {
    std::error_code ignored;
    if (path.find('/') != std::string::npos || std::filesystem::exists(path, ignored)) return path;
    return view.get(config::path_storage_staging) + "/" + path;
}

IsImage in_rows(const std::vector<store::DiRecord>& records) {
    std::set<std::string> names;
    for (const store::DiRecord& record : records) names.insert(record.di.path);
    return [names = std::move(names)](const std::string& name) { return names.contains(name); };
}

Result<void> check_sum(const std::string& wanted, const ImageCopy& copy) {
    const std::string is = copy.checksum.substr(copy.checksum.find(':') + 1);
    if (wanted.empty() || text::lower(wanted) == is) return {};
    return Error{ErrorKind::invalid, "image.checksum",
                 "the image's sha256 is " + is + ", not " + text::quoted(wanted, 80)};
}

// First the file, whole and under its name, then the row: nobody ever sees a half of it. Whatever
// breaks off in between, the next try finds the copy again.
Async<Di> register_copy(store::Store& store, const ImageCopy& copy, store::NewDi wanted) {
    const std::string name = wanted.id.text() + "-" + wanted.name;
    QVD_CO_CHECK(name_copy(copy, name));
    const auto added = co_await store.add_di(wanted);
    if (!added.ok()) {
        // A database that went away may have the row all the same: the next try will see.
        if (added.error().kind() != ErrorKind::unavailable) {
            ::unlink((copy.path.substr(0, copy.path.rfind('/') + 1) + name).c_str());
            ::unlink(copy.path.c_str());
        }
        co_return added.error();
    }
    if (const auto after = co_await store.dis(); after.ok()) {
        const IsImage is_image = in_rows(*after);
        finish_copy(copy, name, is_image);
    }
    co_return *added;
}

}  // namespace

// Whatever can be known before gigabytes are copied.
Async<void> Administration::check_new_di(const NewDi& di, const std::string& source, OsfId osf) {
    QVD_CO_CHECK(store::checks::image_name(std::filesystem::path(source).filename().string()));
    QVD_CO_CHECK(co_await check_new_version(di.version, osf));
    if (di.whatever_it_is) co_return Result<void>{};
    QVD_CO_CHECK(check_image_kind(source));
    QVD_CO_TRY(const Properties properties,
               co_await store_.properties(store::Owner::osf, osf.value()));
    co_return check_image_fits(source, hkd::hypervisor_of(properties, view_));
}

Async<Administration::AddedDi> Administration::add_di(NewDi di, CopyProgress progress) {
    QVD_CO_TRY(const OsfId osf, co_await find_osf(di.osf, di.osf_id));
    const std::string folder = view_.get(config::path_storage_images);
    const std::string source = source_of(di.path, view_);
    QVD_CO_TRY(const store::Expiry expiry, co_await resolved(di.expiry));
    QVD_CO_CHECK(co_await check_new_di(di, source, osf));
    QVD_CO_TRY(const auto before, co_await store_.dis());
    const IsImage is_image = in_rows(before);
    QVD_CO_TRY(const ImageCopy copy, copy_image(source, folder, progress, is_image));
    if (const auto sound = check_sum(di.sha256, copy); !sound.ok()) {
        ::unlink(copy.path.c_str());
        co_return sound.error();
    }
    store::NewDi wanted{osf, std::filesystem::path(source).filename().string(), di.version};
    QVD_CO_TRY(wanted.id, co_await store_.reserve_di());
    wanted.size_bytes = static_cast<std::int64_t>(copy.size_bytes);
    wanted.checksum = copy.checksum;
    const auto added = co_await register_copy(store_, copy, wanted);
    QVD_CO_CHECK(added);
    co_await audit("di add", added->path);
    std::set<std::string> tags;
    for (const DiTag& tag : added->tags) tags.insert(tag.tag);
    QVD_CO_TRY(auto vms, co_await vms_tagged(osf, std::move(tags)));
    AddedDi answer;
    answer.id = added->id;
    QVD_CO_TRY(answer.expired, co_await limit_vms(std::move(vms), expiry));
    co_return answer;
}

Async<Done> Administration::delete_dis(Filter filter, bool purge) {
    QVD_CO_TRY(const auto selected, co_await select_dis(std::move(filter)));
    const std::string folder = view_.get(config::path_storage_images);
    Done done;
    for (const auto& di : selected) {
        const auto deleted = co_await store_.delete_di(di.record.di.id);
        if (skipped(done, "di " + di.record.di.id.text(), deleted)) continue;
        QVD_CO_CHECK(deleted);
        co_await audit(purge ? "di del --purge" : "di del", di.record.di.path);
        ++done.count;
        done.dis.push_back(di.record.di.id);
        const std::string file = folder + "/" + di.record.di.path;
        if (purge && ::unlink(file.c_str()) != 0 && errno != ENOENT)
            warnings_.push_back("the image is deleted, but its file stays: " +
                                errno_error("image.purge", file).sentence());
    }
    co_return done;
}

// ready, missing, or damaged: another size than the one that was added. Where there is no such
// folder at all, which may be so where no node is, nothing is said.
void Administration::add_file_facts(const Di& di, Row& row) const {
    std::error_code failure;
    const std::string folder = view_.get(config::path_storage_images);
    const auto size = std::filesystem::file_size(folder + "/" + di.path, failure);
    const bool there = !failure;
    std::string_view state = "ready";
    if (!there) state = std::filesystem::is_directory(folder, failure) ? "missing" : "";
    const std::int64_t told = di.size_bytes;
    if (there && told > 0 && static_cast<std::int64_t>(size) != told) state = "damaged";
    row.text("state", state);
    const std::int64_t bytes = told > 0 || !there ? told : static_cast<std::int64_t>(size);
    row.bytes("size", bytes);
}

Async<std::vector<Row>> Administration::dis(Filter filter) {
    QVD_CO_TRY(auto selected, co_await select_dis(std::move(filter)));
    co_return rows_of(std::move(selected));
}

Async<Expired> Administration::tag_di(std::string di_id, std::string tag, ExpiryTexts expiry) {
    QVD_CO_TRY(const std::string name, checked_name("tag", tag, longest_tag));
    QVD_CO_TRY(const store::Expiry limits, co_await resolved(std::move(expiry)));
    QVD_CO_TRY(const DiId di, co_await find_di(di_id));
    QVD_CO_CHECK(co_await store_.tag_di(di, name));
    co_await audit("di tag", di_id + " " + name);
    QVD_CO_TRY(const auto records, co_await store_.dis());
    const auto tagged = std::ranges::find(records, di, [](const auto& one) { return one.di.id; });
    if (tagged == records.end()) co_return Expired{};
    std::set<std::string> tags;
    tags.insert(name);
    QVD_CO_TRY(auto vms, co_await vms_tagged(tagged->di.osf, std::move(tags)));
    co_return co_await limit_vms(std::move(vms), limits);
}

Async<void> Administration::untag_di(std::string di_id, std::string tag) {
    QVD_CO_TRY(const std::string name, checked_name("tag", tag, longest_tag));
    QVD_CO_TRY(const DiId di, co_await find_di(di_id));
    QVD_CO_CHECK(co_await store_.untag_di(di, name));
    co_await audit("di untag", di_id + " " + name);
    co_return Result<void>{};
}

}  // namespace qvd::admin
