// What the doctor says of storage that nodes share.
#include "tests/admin/doctor_rig.hpp"

namespace fs = std::filesystem;
using namespace qvd;
using namespace qvd::admin::doctor;
using namespace qvd::admin::doctor::test;

TEST_CASE("storage that nodes share is refused where a node needs its own, and must obey root" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const Folder folder;
    fs::create_directories(folder.at("storage/homefs"));
    InUse containers;
    containers.hypervisors = {"lxc-unionfs"};
    const auto storage = [&](const std::string& mounts) {
        folder.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n" + mounts);
        return check_local_storage(view_of("path.run = " + folder.at("run") +
                                           "\npath.storage.root = " + folder.at("storage") + "\n"),
                                   containers, folder.machine());
    };
    const Diagnoses own = storage("");
    CHECK_FALSE(has_problem(own));
    says(named(own, "local.overlayfs"), Level::good, "this machine's own");
    const std::string nfs = "server:/qvd " + folder.at("storage") + " nfs4 rw,hard 0 0\n";
    const Diagnoses shared = storage(nfs);
    says(named(shared, "local.overlayfs"), Level::problem, "on nfs4, which cannot hold what");
    says(named(shared, "local.rootfs"), Level::problem, "for their own mounts");
    says(named(shared, "local.basefs"), Level::problem, "slow for each file");
    CHECK(named(shared, "local.basefs").advice.find("path.storage.basefs") != std::string::npos);
    says(named(shared, "local.run"), Level::good, "this machine's own");
    says(named(shared, "shared.homefs"), Level::good, "root may give files");
    const std::string local = "/dev/sdb1 " + folder.at("storage/overlayfs") + " ext4 rw 0 0\n";
    says(named(storage(nfs + local), "local.overlayfs"), Level::good, "own");
    const std::string soft = "server:/qvd " + folder.at("storage") + " nfs rw,soft 0 0\n";
    says(named(storage(soft), "shared.homefs"), Level::warning, "mounted soft");
    // A server that maps root to nobody refuses what a process without capabilities is refused.
    const auto squashed = apart(without_capabilities, [&] { return storage(nfs); });
    says(named(squashed, "shared.homefs"), Level::problem, "root may not give files to others");
    CHECK(named(squashed, "shared.homefs").advice.find("no_root_squash") != std::string::npos);
}

TEST_CASE("a folder through which any user gets to what a container's root made is named" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const Folder folder;
    InUse containers;
    containers.hypervisors = {"lxc-btrfs"};
    const auto storage = [&] {
        return check_storage(view_of("path.storage.root = " + folder.at("storage") + "\n"),
                             containers);
    };
    for (const char* const name : {"basefs", "overlayfs", "homefs", "btrfs", "rootfs/7-fs"}) {
        fs::create_directories(folder.at("storage/" + std::string(name)));
        fs::permissions(folder.at("storage/" + std::string(name)), fs::perms(0700));
    }
    for (const char* const name : {"basefs", "overlayfs", "homefs", "btrfs"}) {
        const std::string path = folder.at("storage/" + std::string(name));
        says(named(storage(), "closed." + std::string(name)), Level::good, "is closed");
        fs::permissions(path, fs::perms(0711));
        const Diagnosis open = named(storage(), "closed." + std::string(name));
        says(open, Level::problem, "is open to every user");
        CHECK(open.advice.find("chmod 700 " + path) != std::string::npos);
        fs::permissions(path, fs::perms(0700));
    }
    CHECK_FALSE(has_problem(storage()));
    fs::permissions(folder.at("storage/rootfs/7-fs"), fs::perms(0755));
    says(named(storage(), "closed.rootfs"), Level::problem, "storage/rootfs/7-fs is open");
}
