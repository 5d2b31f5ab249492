// What must be on this machine's own disks, and what storage that nodes share must allow.
#include "admin/doctor/checks.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace qvd::admin::doctor {

namespace fs = std::filesystem;

namespace {

// By which several machines see the same files.
constexpr std::array shared_types{
    "nfs",      "nfs4",      "cifs",           "smb3",       "9p",        "afs",
    "ceph",     "lustre",    "ocfs2",          "gfs2",       "gpfs",      "beegfs",
    "virtiofs", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.ceph", "fuse.s3fs"};

struct Mount {
    std::string at;
    std::string type;
    std::vector<std::string> options;

    [[nodiscard]] bool is_shared() const {
        return std::ranges::find(shared_types, type) != shared_types.end();
    }
    [[nodiscard]] bool has(const std::string& option) const {
        return std::ranges::find(options, option) != options.end();
    }
};

// /proc/mounts writes a blank, a tab, a new line and a backslash as a backslash and three octal
// digits.
std::string unescaped(std::string text) {
    constexpr std::array<std::pair<std::string_view, char>, 4> escapes{
        {{"040", ' '}, {"011", '\t'}, {"012", '\n'}, {"134", '\\'}}};
    for (std::size_t at = text.find('\\'); at != std::string::npos; at = text.find('\\', at + 1)) {
        const std::string code = text.substr(at + 1, 3);
        const auto* const known =
            std::ranges::find(escapes, code, &std::pair<std::string_view, char>::first);
        if (known != escapes.end()) text.replace(at, 4, 1, known->second);
    }
    return text;
}

std::vector<Mount> mounts_of(const Machine& machine) {
    std::vector<Mount> mounts;
    const auto table = file::read(machine.proc + "/mounts", std::size_t{16} << 20U);
    if (!table.ok()) return mounts;
    for (const std::string& line : text::split(*table, '\n')) {
        const std::vector<std::string> fields = text::split(line, ' ');
        if (fields.size() < 4) continue;
        mounts.push_back({unescaped(fields[1]), fields[2], text::split(fields[3], ',')});
    }
    return mounts;
}

bool is_below(const std::string& path, const std::string& top) {
    return top == "/" || path == top || path.starts_with(top + "/");
}

// The file system of a folder, or of where it will be made; of several at one place the last.
Mount mount_of(const std::string& folder, const std::vector<Mount>& mounts) {
    std::error_code ignored;
    const std::string path = fs::weakly_canonical(folder, ignored).string();
    Mount best;
    for (const Mount& one : mounts)
        if (is_below(path, one.at) && one.at.size() >= best.at.size()) best = one;
    return best;
}

struct Local {
    const config::Key<config::Path>& key;
    bool used;  // here, at all
    const char* why;
};

Diagnosis check_local(const Local& folder, const config::View& view,
                      const std::vector<Mount>& mounts) {
    const std::string path = view.get(folder.key);
    const std::string name =
        "local." + std::string(folder.key.name).substr(std::string(folder.key.name).rfind('.') + 1);
    const Mount mount = mount_of(path, mounts);
    if (!mount.is_shared()) return good(name, path + " is this machine's own");
    return problem(
        name, path + " (" + folder.key.name + ") is on " + mount.type + ", which " + folder.why,
        "set " + std::string(folder.key.name) + " to a folder on a local disk");
}

// Whether root may give files to others, as homes and images need it: not where the server maps
// root to nobody. Empty if it may.
std::string ownership_obstacle(const std::string& folder) {
    std::string made = folder + "/.doctor-XXXXXX";
    const int fd = ::mkstemp(made.data());
    if (fd < 0) return "nothing can be written there: " + std::generic_category().message(errno);
    constexpr uid_t somebody = 12345;
    struct stat status {};
    const bool given = ::fchown(fd, somebody, somebody) == 0 && ::fstat(fd, &status) == 0 &&
                       status.st_uid == somebody;
    ::close(fd);
    ::unlink(made.c_str());
    return given ? std::string() : "root may not give files to others there";
}

Diagnosis check_shared(const config::Key<config::Path>& key, const config::View& view,
                       const std::vector<Mount>& mounts) {
    const std::string path = view.get(key);
    const std::string name =
        "shared." + std::string(key.name).substr(std::string(key.name).rfind('.') + 1);
    const Mount mount = mount_of(path, mounts);
    if (!mount.is_shared()) return good(name, path + " is this machine's own");
    if (::geteuid() != 0) return needs_root(name, "whether " + path + " lets root own files");
    std::error_code ignored;
    const std::string obstacle =
        fs::is_directory(path, ignored) ? ownership_obstacle(path) : std::string();
    if (!obstacle.empty())
        return problem(name, path + " (" + key.name + ") is on " + mount.type + ": " + obstacle,
                       "export it with no_root_squash");
    if (mount.has("soft"))
        return warning(name,
                       path + " (" + key.name +
                           ") is mounted soft: a server that is slow for a "
                           "moment becomes an error in what VMs write",
                       "mount it with the option hard");
    return good(name, path + " is on " + mount.type + ", and root may give files to others there");
}

}  // namespace

Diagnoses check_local_storage(const config::View& view, const InUse& use, const Machine& machine) {
    const std::vector<Mount> mounts = mounts_of(machine);
    const bool unions = use.hypervisors.contains("lxc-unionfs");
    const bool machines = use.hypervisors.contains("kvm");
    const std::array locals{
        Local{config::path_run, true, "cannot hold sockets, and this node alone may use it"},
        Local{config::path_database, true, "is no place for a database"},
        Local{config::path_storage_rootfs, use.containers(),
              "other nodes would take for their own mounts"},
        Local{config::path_storage_overlayfs, unions, "cannot hold what containers change"},
        Local{config::path_storage_basefs, unions,
              "is slow for each file that a container opens, and loses what file owners can do"},
    };
    Diagnoses diagnoses;
    for (const Local& folder : locals)
        if (folder.used) diagnoses.push_back(check_local(folder, view, mounts));
    diagnoses.push_back(check_shared(config::path_storage_images, view, mounts));
    if (use.containers())
        diagnoses.push_back(check_shared(config::path_storage_homefs, view, mounts));
    if (machines)
        for (const auto* const key : {&config::path_storage_homes, &config::path_storage_overlays})
            diagnoses.push_back(check_shared(*key, view, mounts));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
