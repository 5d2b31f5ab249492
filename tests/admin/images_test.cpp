// qa di: what is an image, copying it, tags.
#include "tests/admin/farm.hpp"
#include "tests/skip.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iterator>
#include <memory>
#include <utility>

using namespace qvd;
using namespace qvd::admin::test;
using admin::Administration;

TEST_CASE("an image must be what its name says, and the refusal says what it is") {
    Farm farm;
    REQUIRE(farm.add_osf("office").ok());
    const auto answer = [&](const std::string& name, const std::string& content,
                            bool whatever = false) {
        std::ofstream(farm.folder.path + "/" + name) << content;
        Administration::NewDi di;
        di.path = farm.folder.path + "/" + name;
        di.osf = "office";
        di.whatever_it_is = whatever;
        const auto added = farm.run(farm.admin.add_di(std::move(di), {}));
        return added.ok() ? "ok" : added.error().code() + " " + added.error().sentence();
    };
    const std::string block(1024, '\0');
    std::string tar = block;
    tar.replace(257, 5, "ustar");
    std::string disk = block;
    disk.replace(510, 2, "\x55\xaa");

    CHECK(answer("notes.txt", "remember the milk\n").starts_with("image.kind "));
    CHECK(answer("notes.txt", "remember the milk\n").find("is a text") != std::string::npos);
    CHECK(answer("desk.zip", "PK\x03\x04").find("a zip archive") != std::string::npos);
    CHECK(answer("empty.tar", "").find("an empty file") != std::string::npos);
    CHECK(answer("desk.bin", tar).find("nodes would take it for a raw disk") != std::string::npos);
    CHECK(answer("desk.qcow2", disk).find("nodes would take it for a qcow2") != std::string::npos);
    CHECK(answer("desk.tar", block).find("no kind that is known") != std::string::npos);
    CHECK(farm.run(farm.admin.dis(Farm::filter()))->empty());
    CHECK(answer("desk.tar", tar) == "ok");
    CHECK(answer("desk.tar.gz", "\x1f\x8b...") == "ok");
    CHECK(answer("desk.qcow2", "QFI\xfb...").starts_with("image.hypervisor "));
    CHECK(answer("desk.qcow2", "QFI\xfb...", true) == "ok");
    // A disk that would show other files of the node is refused before it is copied.
    std::string qcow2 = "QFI\xfb" + std::string("\0\0\0\3", 4) + std::string(200, '\0');
    const auto with = [&qcow2](std::size_t at, char byte) {
        std::string changed = qcow2;
        changed[at] = byte;
        return changed;
    };
    CHECK(answer("desk.qcow2", with(15, 104)).starts_with("image.not_whole "));
    CHECK(answer("desk.qcow2", with(15, 104)).find("differs from another") != std::string::npos);
    CHECK(answer("desk.qcow2", with(79, 4)).find("data in another file") != std::string::npos);
    CHECK(answer("desk.qcow2", with(35, 2)).find("is encrypted") != std::string::npos);
    // An OSF may have a hypervisor of its own.
    const admin::Parameters kvm{{"vm.hypervisor", "kvm"}};
    REQUIRE(farm.code(farm.admin.set_properties(store::Owner::osf, Farm::filter(), kvm)) == "ok");
    CHECK(answer("desk.tar", tar).find("run on kvm, which needs a disk") != std::string::npos);
    CHECK(answer("desk.qcow2", "QFI\xfb...") == "ok");
    CHECK(answer("desk.img", disk) == "ok");
    CHECK(answer("notes.txt", "remember the milk\n", true) == "ok");
}

TEST_CASE("an archive from before the magic is known by its checksum") {
    Farm farm;
    REQUIRE(farm.add_osf("office").ok());
    std::string header(512, '\0');
    header.replace(0, 4, "file");
    header.replace(100, 7, "0000644");
    std::size_t sum = std::size_t{8} * ' ';
    for (const char letter : header) sum += static_cast<unsigned char>(letter);
    std::array<char, 8> digits{};
    std::snprintf(digits.data(), digits.size(), "%06zo", sum);  // the format of tar
    header.replace(148, 6, digits.data());
    header[155] = ' ';
    std::ofstream(farm.folder.path + "/old.tar") << header;
    Administration::NewDi di;
    di.path = farm.folder.path + "/old.tar";
    di.osf = "office";
    CHECK(farm.code(farm.admin.add_di(di, {})) == "ok");
}

TEST_CASE("an image is copied under its own id; one that is missing leaves nothing behind") {
    Farm farm;
    farm.populate();
    const std::string images = farm.folder.path + "/images";
    const auto rows = farm.run(farm.admin.dis(Farm::filter("tag=default")));
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 1);
    CHECK(std::filesystem::exists(images + "/" + value_of(rows->front(), "path")));

    Administration::NewDi missing;
    missing.path = farm.folder.path + "/none.tar";
    missing.osf = "office";
    CHECK(farm.code(farm.admin.add_di(missing, {})) == "image.missing");
    missing.osf = "none";
    CHECK(farm.code(farm.admin.add_di(missing, {})) == "osf.not_found");
    const auto files = std::filesystem::directory_iterator(images);
    CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("a tag moves between images, and head stays") {
    Farm farm;
    farm.populate();
    const auto second = farm.add_di("office", "office2.tar");
    REQUIRE(second.ok());
    const std::string id = second->text();

    CHECK(farm.code(farm.admin.tag_di(id, "default")) == "ok");
    CHECK(value_of(farm.run(farm.admin.dis(Farm::filter("tag=default")))->front(), "id") == id);
    CHECK(farm.code(farm.admin.untag_di(id, "head")) == "tag.head");
    CHECK(farm.code(farm.admin.tag_di("99999", "x")) == "di.not_found");
    CHECK(farm.code(farm.admin.tag_di("x", "x")) == "id.syntax");
    CHECK(farm.code(farm.admin.tag_di(id, "a,b")) == "tag.name");
}

namespace {

// Of random bytes, several chunks long; its name and its content.
std::pair<std::string, std::string> big_image(const Farm& farm) {
    std::string content = "\x28\xb5\x2f\xfd";
    std::uint32_t state = 1;
    while (content.size() < 5'000'000) {
        state = state * 1664525U + 1013904223U;
        content += static_cast<char>(state >> 24U);
    }
    const std::string path = farm.folder.path + "/big.tar.zst";
    std::ofstream(path) << content;
    return {path, content};
}

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> files_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.push_back(entry.path().filename());
    return names;
}

}  // namespace

TEST_CASE("a copy says how far it is, has the checksum of its source, and is told from others") {
    Farm farm;
    const auto [source, content] = big_image(farm);
    std::uint64_t copied = 0;
    std::uint64_t checked = 0;
    const auto progress = [&](std::string_view what, std::uint64_t done, std::uint64_t total) {
        CHECK(done <= total);
        (what == "copied" ? copied : checked) = done;
    };
    const auto copy = admin::copy_image(source, farm.folder.path + "/images", progress);
    REQUIRE(copy.ok());
    CHECK(copied == content.size());
    CHECK(checked == content.size());
    CHECK(copy->size_bytes == content.size());
    CHECK(copy->resumed_at == 0);
    CHECK(copy->checksum.size() == std::string("sha256:").size() + 64);
    CHECK(content_of(copy->path) == content);
    // While somebody has it, nobody else copies the same file there.
    const auto other = admin::copy_image(source, farm.folder.path + "/images", {});
    REQUIRE_FALSE(other.ok());
    CHECK(other.error().code() == "image.busy");
}

TEST_CASE("a copy that broke off goes on, and what was damaged meanwhile is written again") {
    Farm farm;
    const auto [source, content] = big_image(farm);
    const std::string images = farm.folder.path + "/images";
    std::string incoming;
    {
        const auto whole = admin::copy_image(source, images, {});
        REQUIRE(whole.ok());
        incoming = whole->path;
    }
    std::filesystem::resize_file(incoming, 3'500'000);
    {
        const auto again = admin::copy_image(source, images, {});
        REQUIRE(again.ok());
        CHECK(again->path == incoming);
        CHECK(again->resumed_at == 3U << 20U);
        CHECK(content_of(incoming) == content);
    }
    std::filesystem::resize_file(incoming, 3'500'000);
    std::fstream(incoming, std::ios::in | std::ios::out).seekp(1'500'000) << "damage";
    const auto mended = admin::copy_image(source, images, {});
    REQUIRE(mended.ok());
    CHECK(mended->resumed_at == 1U << 20U);
    CHECK(content_of(incoming) == content);
}

TEST_CASE("a source that changed is copied anew; one that changes meanwhile is refused") {
    Farm farm;
    const auto [source, content] = big_image(farm);
    const std::string images = farm.folder.path + "/images";
    const std::string first = admin::copy_image(source, images, {})->path;
    std::filesystem::last_write_time(
        source, std::filesystem::last_write_time(source) - std::chrono::hours(1));
    CHECK(admin::copy_image(source, images, {})->path != first);
    bool touched = false;
    const auto touch = [&, path = source](std::string_view, std::uint64_t, std::uint64_t) {
        if (!std::exchange(touched, true)) std::ofstream(path, std::ios::app) << "more";
    };
    const auto changed = admin::copy_image(source, images, touch);
    REQUIRE_FALSE(changed.ok());
    CHECK(changed.error().code() == "image.changed");
}

TEST_CASE("an image that does not fit on the disk is refused before it is copied" *
          doctest::test_suite("needs long-files")) {
    Farm farm;
    const std::string source = farm.folder.path + "/huge.img";
    CHECK(std::ofstream(source).good());
    std::error_code failure;
    // A hole of 4 PiB, or as much as this file system lets a file have.
    for (std::uintmax_t size = 1ULL << 52U; size >= 1ULL << 40U; size >>= 1U) {
        std::filesystem::resize_file(source, size, failure);
        if (!failure) break;
    }
    const auto space = std::filesystem::space(farm.folder.path);
    if (failure || std::filesystem::file_size(source) <= space.available)
        return qvd::test::skip("this file system has no files as long as its free space");
    const auto copy = admin::copy_image(source, farm.folder.path + "/images", {});
    REQUIRE_FALSE(copy.ok());
    CHECK(copy.error().code() == "image.no_space");
    CHECK(files_in(farm.folder.path + "/images").empty());
}

TEST_CASE("a copy for which the disk was too small goes on when there is room" *
          doctest::test_suite("needs root")) {
    if (::geteuid() != 0) return qvd::test::skip("only root mounts");
    Farm farm;
    const auto [source, content] = big_image(farm);
    const std::string images = farm.folder.path + "/images";
    std::filesystem::create_directories(images);
    if (::mount("none", images.c_str(), "tmpfs", 0, "size=4m") != 0)
        return qvd::test::skip("this machine mounts no tmpfs here");
    const std::shared_ptr<void> mounted(nullptr, [&images](void*) { ::umount(images.c_str()); });
    const auto code = [&, path = source](const admin::CopyProgress& progress) {
        const auto copy = admin::copy_image(path, images, progress);
        return copy.ok() ? "ok from " + std::to_string(copy->resumed_at >> 20U) + " MiB"
                         : copy.error().code();
    };
    const auto resize = [&images](const char* size) {
        return ::mount("none", images.c_str(), "tmpfs", MS_REMOUNT, size) == 0;
    };
    CHECK(code({}) == "image.no_space");
    CHECK(files_in(images).empty());  // it had not begun
    REQUIRE(resize("size=16m"));
    // The room goes while it copies.
    const auto shrink = [&](std::string_view what, std::uint64_t done, std::uint64_t) {
        if (what == "copied" && done == 1U << 20U) CHECK(resize("size=3m"));
    };
    CHECK(code(shrink) == "image.no_space");
    CHECK(files_in(images).size() == 1);
    CHECK(code({}) == "image.no_space");  // nor does a try before there is room take it away
    REQUIRE(resize("size=16m"));
    CHECK(code({}) == "ok from 3 MiB");
}

TEST_CASE("who is killed before the database tells of the image has nothing to copy again") {
    Farm farm;
    REQUIRE(farm.add_osf("office").ok());
    const auto [source, content] = big_image(farm);
    const std::string images = farm.folder.path + "/images";
    Administration::NewDi di;
    di.path = source;
    di.osf = "office";
    const auto inode_of = [&images](const std::string& name) {
        struct stat found {};
        CHECK(::stat((images + "/" + name).c_str(), &found) == 0);
        return found.st_ino;
    };
    std::string incoming;
    {
        const auto copy = admin::copy_image(source, images, {});
        REQUIRE(copy.ok());
        REQUIRE(admin::name_copy(*copy, "77-big.tar.zst").ok());
        incoming = copy->path;
    }
    const auto copied = inode_of("77-big.tar.zst");
    REQUIRE(farm.code(farm.admin.add_di(di, {})) == "ok");
    REQUIRE(files_in(images).size() == 1);
    const std::string first = files_in(images).front();
    CHECK(first != "77-big.tar.zst");
    CHECK(inode_of(first) == copied);

    // Killed when it was told of already: the image's file is nobody else's.
    std::filesystem::create_hard_link(images + "/" + first, incoming);
    REQUIRE(farm.code(farm.admin.add_di(di, {})) == "ok");
    REQUIRE(files_in(images).size() == 2);
    CHECK(inode_of(files_in(images)[0]) != inode_of(files_in(images)[1]));
    CHECK(content_of(images + "/" + files_in(images)[0]) == content);
    CHECK(content_of(images + "/" + files_in(images)[1]) == content);
}

TEST_CASE("an image with another checksum than promised is refused, and nothing stays") {
    Farm farm;
    REQUIRE(farm.add_osf("office").ok());
    const auto [source, content] = big_image(farm);
    Administration::NewDi di;
    di.path = source;
    di.osf = "office";
    di.sha256 = std::string(64, '0');
    CHECK(farm.code(farm.admin.add_di(di, {})) == "image.checksum");
    CHECK(files_in(farm.folder.path + "/images").empty());
    di.sha256.clear();
    REQUIRE(farm.code(farm.admin.add_di(di, {})) == "ok");
    const auto rows = farm.run(farm.admin.dis(Farm::filter()));
    REQUIRE(rows.ok());
    di.sha256 = value_of(rows->front(), "checksum").substr(std::string("sha256:").size());
    CHECK(farm.code(farm.admin.add_di(di, {})) == "ok");
}

TEST_CASE("a list of images says what became of their files and who uses them") {
    Farm farm;
    farm.populate();
    const std::string images = farm.folder.path + "/images";
    const auto row = [&farm] { return farm.run(farm.admin.dis(Farm::filter()))->front(); };
    CHECK(value_of(row(), "state") == "ready");
    CHECK(value_of(row(), "size") == "20");
    CHECK(value_of(row(), "vms") == "1");
    CHECK(value_of(row(), "vms_running") == "0");
    const std::string file = images + "/" + value_of(row(), "path");
    std::filesystem::resize_file(file, 10);
    CHECK(value_of(row(), "state") == "damaged");
    CHECK(farm.run(farm.admin.dis(Farm::filter("state=damaged")))->size() == 1);
    std::filesystem::remove(file);
    CHECK(value_of(row(), "state") == "missing");
}

TEST_CASE("a deleted image keeps its file, a purged one does not") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.add_di("office", "two.tar").ok());
    const std::string images = farm.folder.path + "/images";
    CHECK(farm.run(farm.admin.delete_dis(Farm::filter("tag=head")))->count == 1);
    CHECK(files_in(images).size() == 2);
    CHECK(farm.run(farm.admin.delete_dis(Farm::filter(), true))->count == 1);
    CHECK(files_in(images).size() == 1);
    CHECK(farm.admin.warnings().empty());
}
