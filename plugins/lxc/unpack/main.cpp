// qvd-unpack ARCHIVE DIRECTORY MAX_BYTES MAX_ENTRIES: unpacks a foreign archive below DIRECTORY,
// which is its root from before the first byte is read.
// Says on standard output, one "key=value ..." line each: `progress=PERCENT bytes=READ` now and
// then, and last `result=ok layout=... bytes=... entries=... skipped=...` or `result=CODE
// sentence=...` (codes: archive.hpp, and "sandbox", "missing").
#include "common/fields.hpp"
#include "unpack/archive.hpp"
#include "unpack/sandbox.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>

namespace {

using qvd::lxc::UnpackResult;

// xz -9 takes 65 MiB, zstd --long=27 128 MiB.
constexpr std::uint64_t memory_bytes = std::uint64_t{1} << 30U;

void say(const std::string& line) {
    [[maybe_unused]] const ssize_t ignored = ::write(1, line.data(), line.size());
}

int end_with(const std::string& code, const std::string& sentence) {
    std::string clean = sentence;
    for (char& c : clean)
        if (static_cast<unsigned char>(c) < ' ') c = ' ';
    say("result=" + code + " sentence=" + clean + "\n");
    return 1;
}

int run(int archive, const char* directory, const qvd::lxc::UnpackLimits& limits) {
    struct stat found {};
    ::fstat(archive, &found);
    const auto size = static_cast<std::uint64_t>(found.st_size);
    const std::string trouble =
        qvd::lxc::enter_sandbox(directory, archive, {limits.bytes, memory_bytes});
    if (!trouble.empty()) return end_with("sandbox", trouble);
    std::uint64_t told = 101;
    const UnpackResult result =
        qvd::lxc::unpack(archive, limits, [size, &told](std::uint64_t bytes) {
            const std::uint64_t percent = size == 0 ? 0 : bytes * 100 / size;
            if (percent == told) return;
            told = percent;
            say("progress=" + std::to_string(percent) + " bytes=" + std::to_string(bytes) + "\n");
        });
    if (!result.ok) return end_with(result.code, result.sentence);
    say("result=ok layout=" + result.layout + " bytes=" + std::to_string(result.bytes) +
        " entries=" + std::to_string(result.entries) +
        " skipped=" + std::to_string(result.skipped) + "\n");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const auto number = [&](int i) {
        return qvd::lxc::parse_number(i < argc ? argv[i] : "").value_or(0);
    };
    if (argc != 5 || number(3) <= 0 || number(4) <= 0) {
        std::fputs("usage: qvd-unpack ARCHIVE DIRECTORY MAX_BYTES MAX_ENTRIES\n", stderr);
        return 2;
    }
    // Names are bytes to us; libarchive wants to know that they may be UTF-8.
    std::setlocale(LC_CTYPE, "C.UTF-8");
    ::umask(022);
    const int archive = ::open(argv[1], O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (archive < 0)
        return end_with("missing",
                        std::string("cannot read ") + argv[1] + ": " + std::strerror(errno));
    return run(archive, argv[2],
               {static_cast<std::uint64_t>(number(3)), static_cast<std::uint64_t>(number(4))});
}
