#include "world.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

namespace fs = std::filesystem;
using namespace qvd::test;

namespace {

// One entry of a tar archive, whatever it claims.
struct Entry {
    std::string name;
    char type = '0';  // 0 file, 1 hard link, 2 symbolic link, 3 and 4 devices, 5 folder, 6 FIFO
    std::string link;
    std::string content;
    unsigned mode = 0755;
};

void put_octal(char* field, std::size_t width, std::uint64_t number) {
    std::snprintf(field, width, "%0*llo", static_cast<int>(width - 1),
                  static_cast<unsigned long long>(number));
}

std::string packed(const Entry& entry) {
    std::string header(512, '\0');
    entry.name.copy(header.data(), 100);
    put_octal(header.data() + 100, 8, entry.mode);
    put_octal(header.data() + 108, 8, 0);
    put_octal(header.data() + 116, 8, 0);
    put_octal(header.data() + 124, 12, entry.content.size());
    put_octal(header.data() + 136, 12, 0);
    header[156] = entry.type;
    entry.link.copy(header.data() + 157, 100);
    std::memcpy(header.data() + 257, "ustar\00000", 8);
    put_octal(header.data() + 329, 8, entry.type == '4' ? 8 : 1);
    put_octal(header.data() + 337, 8, entry.type == '4' ? 0 : 3);
    std::fill_n(header.begin() + 148, 8, ' ');
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put_octal(header.data() + 148, 7, sum);
    std::string all = header + entry.content;
    all.resize((all.size() + 511) / 512 * 512, '\0');
    return all;
}

std::string tar_of(const std::vector<Entry>& more) {
    std::string all = packed({"./sbin", '5', "", ""}) + packed({"./sbin/init", '0', "", "#!"});
    for (const Entry& entry : more) all += packed(entry);
    return all + std::string(1024, '\0');
}

bool only_locks_in(const std::string& folder) {
    const fs::directory_iterator all(folder);
    return std::all_of(begin(all), end(all), [](const fs::directory_entry& entry) {
        return entry.path().filename().string().rfind("lock.", 0) == 0;
    });
}

struct Attempt {
    qvd_status status = QVD_INTERNAL;
    std::string sentence;
    bool anything_left = false;
};

Attempt try_archive(const std::string& bytes) {
    World world;
    write_file(world.path("images/evil.tar"), bytes);
    Backend backend(world);
    CallStandIn call;
    Attempt attempt;
    attempt.status = prepare(backend, world.path("images/evil.tar"), world.images("evil"), call);
    attempt.sentence = call.sentence;
    // What came to nothing is swept away behind the call's back.
    attempt.anything_left = !eventually([&] { return only_locks_in(world.images("")); });
    return attempt;
}

void refused(const Entry& entry, const std::string& why) {
    const Attempt attempt = try_archive(tar_of({entry}));
    CHECK(attempt.status == QVD_INVALID);
    CHECK_MESSAGE(attempt.sentence.find(why) != std::string::npos, attempt.sentence);
    CHECK_FALSE(attempt.anything_left);
}

void add_bytes(const std::string& root, const std::string& name, std::size_t mib) {
    std::minstd_rand numbers;  // does not compress, and is the same each time
    std::ofstream file(root + "/" + name, std::ios::binary);
    for (std::size_t word = 0; word < mib * 1024 * 256; ++word) {
        const auto number = static_cast<std::uint32_t>(numbers());
        file.write(reinterpret_cast<const char*>(&number), sizeof number);
    }
}

// The child of this process that is unpacking.
int unpacker() {
    for (const auto& task : fs::directory_iterator("/proc/self/task")) {
        std::istringstream children(read_file(task.path().string() + "/children"));
        for (int pid = 0; children >> pid;)
            if (read_file("/proc/" + std::to_string(pid) + "/comm") == "qvd-unpack\n") return pid;
    }
    return 0;
}

}  // namespace

TEST_CASE("an archive cannot write outside of its image") {
    refused({"/etc/evil", '0', "", "x"}, "would lie outside of the image");
    refused({"a/../../evil", '0', "", "x"}, "would lie outside of the image");
    refused({"out", '2', "../../etc", ""}, "symbolic link that leads out");
    refused({"out", '2', "/../../etc", ""}, "symbolic link that leads out");
    refused({"out", '1', "../../etc/passwd", ""}, "link to a file outside");
    refused({"out", '1', "/etc/passwd", ""}, "link to a file outside");
}

TEST_CASE("an archive cannot write through its own symbolic links") {
    const Attempt attempt =
        try_archive(tar_of({{"out", '2', "/etc", ""}, {"out/evil", '0', "", "x"}}));
    CHECK(attempt.status == QVD_INVALID);
    CHECK(attempt.sentence.find("goes through a symbolic link") != std::string::npos);
    CHECK_FALSE(attempt.anything_left);
}

TEST_CASE(
    "device nodes are refused, but for those that every system has in dev, which are left out") {
    refused({"disk", '4', "", ""}, "is a device outside of dev/");
    refused({"var/null", '3', "", ""}, "is a device outside of dev/");
    CHECK(try_archive(tar_of({{"./dev", '5', "", ""}, {"./dev/null", '3', "", ""}})).status ==
          QVD_OK);
}

TEST_CASE("an archive that is too big, has too many files, is damaged or no archive is refused") {
    SUBCASE("too big") {
        refused({"bomb", '0', "", std::string(70U << 20U, '\0')}, "more than 64 MiB");
    }
    SUBCASE("too big once it is unpacked") {
        for (const char* const packed : {"-z", "--zstd", "-J"}) {
            World world;
            const std::string archive = world.make_image(
                "7-bomb.tar.gz",
                [](const std::string& root) {
                    write_file(root + "/zeros", "");
                    fs::resize_file(root + "/zeros", 70U << 20U);
                },
                packed);
            CHECK(fs::file_size(archive) < 4U << 20U);
            Backend backend(world);
            CallStandIn call;
            CHECK(prepare(backend, archive, world.images("7-bomb"), call) == QVD_INVALID);
            CHECK_MESSAGE(call.sentence.find("more than 64 MiB") != std::string::npos,
                          call.sentence);
            CHECK(eventually([&] { return only_locks_in(world.images("")); }));
        }
    }
    SUBCASE("too many") {
        const Attempt attempt = try_archive(tar_of(std::vector<Entry>(1001, {"f", '0', "", ""})));
        CHECK(attempt.status == QVD_INVALID);
        CHECK(attempt.sentence.find("more than 1000 entries") != std::string::npos);
        CHECK_FALSE(attempt.anything_left);
    }
    SUBCASE("cut off") {
        const std::string whole = tar_of({{"file", '0', "", std::string(50000, 'x')}});
        const Attempt attempt = try_archive(whole.substr(0, 20000));
        CHECK(attempt.status == QVD_INVALID);
        CHECK(attempt.sentence.find("damaged") != std::string::npos);
        CHECK_FALSE(attempt.anything_left);
    }
    SUBCASE("no archive") {
        const Attempt attempt = try_archive("This is a letter.\n");
        CHECK(attempt.status == QVD_INVALID);
        CHECK(attempt.sentence.find("this is no tar archive") != std::string::npos);
        CHECK_FALSE(attempt.anything_left);
    }
    SUBCASE("no system") {
        std::string lone = packed({"readme", '0', "", "x"}) + std::string(1024, '\0');
        const Attempt attempt = try_archive(lone);
        CHECK(attempt.status == QVD_INVALID);
        CHECK(attempt.sentence.find("neither sbin nor rootfs/sbin") != std::string::npos);
        CHECK_FALSE(attempt.anything_left);
    }
    SUBCASE("missing") {
        World world;
        Backend backend(world);
        CallStandIn call;
        CHECK(prepare(backend, world.path("images/none.tar"), world.images("none"), call) ==
              QVD_NOT_FOUND);
        CHECK(call.sentence.find("No such file") != std::string::npos);
    }
}

TEST_CASE("owners, modes, file capabilities and foreign names survive unpacking") {
    World world;
    const std::string archive = world.make_image("7-tiny.tar.gz", [](const std::string& root) {
        write_file(root + "/bin/set", "x", 04755);
        write_file(root + "/etc/F\xc5\x91tan\xc3\xbas\xc3\xadtv\xc3\xa1ny", "y");
        fs::create_hard_link(root + "/bin/set", root + "/bin/linked");
        CHECK(::chown((root + "/etc/inittab").c_str(), 1234, 5678) == 0);
    });
    Backend backend(world);
    CallStandIn call;
    REQUIRE_MESSAGE(prepare(backend, archive, world.images("7-tiny"), call) == QVD_OK,
                    call.sentence);
    CHECK(call.unpacked_path == world.images("7-tiny"));
    CHECK(call.image_bytes > 100000);
    struct stat found {};
    REQUIRE(::stat(world.images("7-tiny/bin/set").c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 04755);
    CHECK(found.st_nlink == 2);
    REQUIRE(::stat(world.images("7-tiny/etc/inittab").c_str(), &found) == 0);
    CHECK(found.st_uid == 1234);
    CHECK(found.st_gid == 5678);
    CHECK(exists(world.images("7-tiny/etc/F\xc5\x91tan\xc3\xbas\xc3\xadtv\xc3\xa1ny")));
}

TEST_CASE("gzip, xz, zstd and bare archives are told by their content, whatever they are called") {
    for (const char* option : {"-z", "-J", "--zstd", ""}) {
        World world;
        const std::string archive = world.make_image(
            "7-tiny.tar.bz2", [](const std::string&) {}, option);
        Backend backend(world);
        CallStandIn call;
        CHECK_MESSAGE(prepare(backend, archive, world.images("7-tiny"), call) == QVD_OK,
                      call.sentence);
    }
}

TEST_CASE("in the extended layout the folder rootfs is the container's system") {
    World world;
    const std::string archive = world.make_image("7-tiny.tar.gz", [](const std::string& root) {
        fs::create_directories(root + "/rootfs");
        for (const char* part : {"bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "var"})
            fs::rename(root + "/" + part, root + "/rootfs/" + part);
        write_file(root + "/lxc/config-extra", "lxc.hook.pre-start = /bin/false\n");
    });
    Backend backend(world);
    CallStandIn call;
    REQUIRE(prepare(backend, archive, world.images("7-tiny"), call) == QVD_OK);
    CHECK(backend.core().log().find("extended layout") != std::string::npos);
    VmOrder vm(world, 20);
    CallStandIn starting;
    REQUIRE_MESSAGE(backend.table().start(backend.self(), vm.raw(), starting.raw()) == QVD_OK,
                    starting.sentence);
    CHECK(fetch(vm.address(), "index.html") == "hello\n");
    CallStandIn ending;
    CHECK(backend.table().destroy_vm(backend.self(), vm.raw(), ending.raw()) == QVD_OK);
}

TEST_CASE("of several who want one image at once one unpacks it and the others wait for him") {
    World world;
    const std::string archive = world.make_image(
        "7-tiny.tar.gz", [](const std::string& root) { add_bytes(root, "big", 24); });
    Backend backend(world);
    constexpr int people = 4;
    std::vector<std::unique_ptr<CallStandIn>> calls;
    std::vector<qvd_status> answers(people, QVD_INTERNAL);
    std::vector<std::thread> threads;
    for (int i = 0; i < people; ++i) calls.push_back(std::make_unique<CallStandIn>());
    for (int i = 0; i < people; ++i)
        threads.emplace_back([&, i] {
            answers[static_cast<std::size_t>(i)] = prepare(backend, archive, world.images("7-tiny"),
                                                           *calls[static_cast<std::size_t>(i)]);
        });
    for (std::thread& thread : threads) thread.join();
    int unpacked = 0;
    for (const auto& call : calls)
        if (std::any_of(call->progress.begin(), call->progress.end(), [](const std::string& said) {
                return said.find("unpacking 7-tiny") != std::string::npos &&
                       said.find("waiting") == std::string::npos;
            }))
            ++unpacked;
    CHECK(unpacked == 1);
    CHECK(std::count(answers.begin(), answers.end(), QVD_OK) == people);
    CHECK(world.left_overs() == "");
}

TEST_CASE("an unpacker that is killed leaves nothing, and the next try works") {
    World world;
    const std::string archive = world.make_image(
        "7-tiny.tar.gz", [](const std::string& root) { add_bytes(root, "big", 24); });
    Backend backend(world);
    CallStandIn call;
    bool killed = false;
    call.on_progress = [&killed] {
        if (killed) return;
        const int pid = unpacker();
        if (pid != 0) killed = ::kill(pid, SIGKILL) == 0;
    };
    CHECK(prepare(backend, archive, world.images("7-tiny"), call) == QVD_UNAVAILABLE);
    CHECK(killed);
    CHECK(call.sentence.find("was killed") != std::string::npos);
    CHECK(eventually([&] { return world.left_overs().empty(); }));
    CHECK_FALSE(exists(world.images("7-tiny")));
    CallStandIn again;
    const auto before = std::chrono::steady_clock::now();
    CHECK(prepare(backend, archive, world.images("7-tiny"), again) == QVD_OK);
    MESSAGE("unpacking 26 MiB: " << std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now() - before)
                                        .count()
                                 << " ms");
    CallStandIn third;
    CHECK(prepare(backend, archive, world.images("7-tiny"), third) == QVD_OK);
    CHECK(third.progress.empty());
}

TEST_CASE("a call that is cancelled ends its unpacker") {
    World world;
    const std::string archive = world.make_image(
        "7-tiny.tar.gz", [](const std::string& root) { add_bytes(root, "big", 8); });
    Backend backend(world);
    CallStandIn call(std::chrono::milliseconds(0));
    CHECK(prepare(backend, archive, world.images("7-tiny"), call) == QVD_TIMEOUT);
    CHECK(unpacker() == 0);
    CHECK(eventually([&] { return world.left_overs().empty(); }));
    CHECK_FALSE(exists(world.images("7-tiny")));
}

TEST_CASE("an image that is in use is not removed; one that is not goes, and can come again") {
    World world;
    const std::string archive = world.make_image();
    Backend backend(world);
    CallStandIn call;
    REQUIRE(prepare(backend, archive, world.images("7-tiny"), call) == QVD_OK);
    VmOrder vm(world, 21);
    CallStandIn starting;
    REQUIRE(backend.table().start(backend.self(), vm.raw(), starting.raw()) == QVD_OK);
    qvd_image image{};
    image.size = sizeof image;
    image.format = QVD_FORMAT_TAR;
    const std::string target = world.images("7-tiny");
    image.path = qvd_text(archive.c_str());
    image.unpacked_path = qvd_text(target.c_str());
    CallStandIn removing;
    // A snapshot needs what it was taken of no more.
    if (kind() != "btrfs")
        CHECK(backend.table().remove_image(backend.self(), &image, removing.raw()) == QVD_CONFLICT);
    CallStandIn ending;
    REQUIRE(backend.table().destroy_vm(backend.self(), vm.raw(), ending.raw()) == QVD_OK);
    CHECK(backend.table().remove_image(backend.self(), &image, removing.raw()) == QVD_OK);
    CHECK_FALSE(exists(target));
    CHECK(prepare(backend, archive, target, call) == QVD_OK);
}
