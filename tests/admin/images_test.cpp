// qa di: what is an image, copying it, tags.
#include "tests/admin/farm.hpp"

#include <array>
#include <cstdio>

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
