// qa osf and qa di.
#include "admin/administration.hpp"
#include "admin/image_kind.hpp"
#include "admin/images.hpp"
#include "admin/keys.hpp"
#include "admin/selection.hpp"
#include "admin/values.hpp"
#include "config/keys.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace qvd::admin {

Async<OsfId> Administration::add_osf(NewOsf osf) {
    Osf made;
    QVD_CO_TRY(made.name, checked_name("osf", osf.name));
    made.memory_mib = view_.get(osf_memory);
    if (!osf.memory.empty()) {
        QVD_CO_TRY(made.memory_mib, parse_size_mib(osf.memory));
    }
    constexpr std::int64_t least_memory = 16;
    if (made.memory_mib < least_memory)
        co_return Error{ErrorKind::invalid, "osf.memory", "a VM needs at least 16 MiB of memory"};
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

Async<DiId> Administration::add_di(NewDi di, CopyProgress progress) {
    QVD_CO_TRY(const OsfId osf, co_await find_osf(di.osf, di.osf_id));
    const std::string folder = view_.get(config::path_storage_images);
    std::string source = di.path;
    // A bare name is looked for in the staging folder, as the manual's examples have it.
    if (!std::filesystem::exists(source) && source.find('/') == std::string::npos)
        source = view_.get(config::path_storage_staging) + "/" + source;
    if (!di.whatever_it_is) QVD_CO_CHECK(check_image_kind(source));
    QVD_CO_TRY(const std::string temporary, copy_image(source, folder, progress));
    const std::string name = std::filesystem::path(source).filename().string();
    store::NewDi wanted{osf, name, di.version};
    const auto added = co_await store_.add_di(std::move(wanted));
    if (!added.ok()) {
        ::unlink(temporary.c_str());
        co_return added.error();
    }
    const std::string target = folder + "/" + added->path;
    if (std::rename(temporary.c_str(), target.c_str()) != 0) {
        const Error problem = errno_error("image.copy", "cannot name the image " + target);
        ::unlink(temporary.c_str());
        (void)co_await store_.delete_di(added->id);
        co_return problem;
    }
    co_await audit("di add", added->path);
    co_return added->id;
}

Async<Done> Administration::delete_dis(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_dis(std::move(filter)));
    Done done;
    for (const auto& di : selected) {
        const auto deleted = co_await store_.delete_di(di.record.di.id);
        if (skipped(done, "di " + di.record.di.id.text(), deleted)) continue;
        QVD_CO_CHECK(deleted);
        co_await audit("di del", di.record.di.path);
        ++done.count;
    }
    co_return done;
}

Async<std::vector<Row>> Administration::dis(Filter filter) {
    QVD_CO_TRY(auto selected, co_await select_dis(std::move(filter)));
    co_return rows_of(std::move(selected));
}

Async<void> Administration::tag_di(std::string di_id, std::string tag) {
    QVD_CO_TRY(const std::string name, checked_name("tag", tag, longest_tag));
    QVD_CO_TRY(const DiId di, co_await find_di(di_id));
    QVD_CO_CHECK(co_await store_.tag_di(di, name));
    co_await audit("di tag", di_id + " " + name);
    co_return Result<void>{};
}

Async<void> Administration::untag_di(std::string di_id, std::string tag) {
    QVD_CO_TRY(const std::string name, checked_name("tag", tag, longest_tag));
    QVD_CO_TRY(const DiId di, co_await find_di(di_id));
    QVD_CO_CHECK(co_await store_.untag_di(di, name));
    co_await audit("di untag", di_id + " " + name);
    co_return Result<void>{};
}

}  // namespace qvd::admin
