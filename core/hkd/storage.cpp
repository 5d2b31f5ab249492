#include "hkd/storage.hpp"

#include "base/file.hpp"
#include "config/keys.hpp"

#include <sys/stat.h>

namespace qvd::hkd {

namespace {

// Root of a container may be root of the node in its files: programs that run as their owner are
// among them, and no other user of the node may come near. Folders of older nodes are open.
Result<void> make_closed(const std::string& folder) {
    QVD_CHECK(file::make_folders(folder, 0700));
    struct stat found {};
    if (::stat(folder.c_str(), &found) != 0)
        return errno_error("storage.open", "cannot look at the folder " + folder);
    if ((found.st_mode & (S_IRWXG | S_IRWXO)) == 0 || ::chmod(folder.c_str(), 0700) == 0) return {};
    return errno_error("storage.open",
                       "every user of this machine gets to the files of containers "
                       "in " +
                           folder + ", and it cannot be closed (chmod 700)");
}

}  // namespace

Result<void> make_storage(const config::View& view) {
    for (const auto* const key : {&config::path_storage_basefs, &config::path_storage_homefs,
                                  &config::path_storage_overlayfs})
        QVD_CHECK(make_closed(view.get(*key)));
    for (const auto* const key :
         {&config::path_storage_staging, &config::path_storage_images, &config::path_storage_rootfs,
          &config::path_storage_overlays, &config::path_storage_homes})
        QVD_CHECK(file::make_folders(view.get(*key)));
    return {};
}

}  // namespace qvd::hkd
