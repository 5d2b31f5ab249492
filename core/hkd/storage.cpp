#include "hkd/storage.hpp"

#include "base/file.hpp"
#include "config/keys.hpp"

namespace qvd::hkd {

Result<void> make_storage(const config::View& view) {
    for (const auto* const key : {&config::path_storage_staging, &config::path_storage_images,
                                  &config::path_storage_basefs, &config::path_storage_homefs,
                                  &config::path_storage_overlayfs, &config::path_storage_rootfs,
                                  &config::path_storage_overlays, &config::path_storage_homes})
        QVD_CHECK(file::make_folders(view.get(*key)));
    return {};
}

}  // namespace qvd::hkd
