// What is needed of the farm to make an image: qa di build and qa di edit.
#include "admin/administration.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "hkd/vm_plan.hpp"
#include "store/checks.hpp"

#include <unistd.h>

#include <algorithm>

namespace qvd::admin {

Async<void> Administration::check_new_version(std::string version, OsfId osf) {
    if (version.empty()) co_return Result<void>{};
    QVD_CO_CHECK(store::checks::version(version));
    QVD_CO_TRY(const auto records, co_await store_.dis());
    for (const store::DiRecord& record : records)
        if (record.di.osf == osf && record.di.version == version)
            co_return Error{
                ErrorKind::conflict, "di.version_exists",
                "the osf has an image of the version " + text::quoted(version, 128) + " already"};
    co_return Result<void>{};
}

Async<Administration::ImagePlace> Administration::place_for_image(NewDi di) {
    QVD_CO_TRY(const OsfId osf, co_await find_osf(di.osf, di.osf_id));
    QVD_CO_CHECK(co_await check_new_version(di.version, osf));
    QVD_CO_CHECK(co_await resolved(di.expiry));
    QVD_CO_TRY(const Properties properties,
               co_await store_.properties(store::Owner::osf, osf.value()));
    ImagePlace place;
    place.hypervisor = hkd::hypervisor_of(properties, view_);
    place.folder = view_.get(config::path_storage_staging);
    QVD_CO_CHECK(file::make_folders(place.folder));
    co_return place;
}

Async<Administration::EditableDi> Administration::di_to_edit(std::string di_id) {
    QVD_CO_TRY(const DiId id, co_await find_di(di_id));
    QVD_CO_TRY(const auto records, co_await store_.dis());
    EditableDi found;
    for (const store::DiRecord& record : records)
        if (record.di.id == id) found.record = record;
    const Di& di = found.record.di;
    for (const store::DiRecord& record : records)
        if (record.di.osf == di.osf &&
            std::ranges::any_of(record.di.tags, [](const DiTag& tag) { return tag.tag == "head"; }))
            found.head = record.di.id;
    found.file = view_.get(config::path_storage_images) + "/" + di.path;
    const std::string prefix = di.id.text() + "-";
    found.name = di.path.starts_with(prefix) ? di.path.substr(prefix.size()) : di.path;
    if (::access(found.file.c_str(), R_OK) != 0)
        co_return Error{ErrorKind::not_found, "image.missing",
                        "there is no image file " + found.file + " on this machine"};
    co_return found;
}

}  // namespace qvd::admin
