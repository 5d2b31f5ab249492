#include "admin/image_kind.hpp"

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "hkd/vm_plan.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>

namespace qvd::admin {

namespace {

using plugin::ImageFormat;
using namespace std::string_view_literals;

struct Kind {
    std::string_view name;
    std::optional<ImageFormat> format;  // nothing: no node can use it
};

struct Magic {
    std::size_t at;
    std::string_view bytes;
    Kind kind;
};

// The more telling ones first.
constexpr std::array magics{
    Magic{0, "\x1f\x8b"sv, {"a gzip archive", ImageFormat::tar}},
    Magic{0,
          "\xfd"
          "7zXZ\0"sv,
          {"an xz archive", ImageFormat::tar}},
    Magic{0, "\x28\xb5\x2f\xfd"sv, {"a zstd archive", ImageFormat::tar}},
    Magic{0, "BZh"sv, {"a bzip2 archive", ImageFormat::tar}},
    Magic{257, "ustar"sv, {"a tar archive", ImageFormat::tar}},
    Magic{0, "QFI\xfb"sv, {"a qcow2 disk", ImageFormat::qcow2}},
    Magic{0, "PK\x03\x04"sv, {"a zip archive", std::nullopt}},
    Magic{0, "7z\xbc\xaf\x27\x1c"sv, {"a 7z archive", std::nullopt}},
    Magic{0, "!<arch>\n"sv, {"a Debian package", std::nullopt}},
    Magic{0,
          "\x7f"
          "ELF"sv,
          {"a program", std::nullopt}},
    Magic{0, "KDMV"sv, {"a VMware disk", std::nullopt}},
    Magic{0, "vhdxfile"sv, {"a vhdx disk", std::nullopt}},
    Magic{0, "hsqs"sv, {"a squashfs", std::nullopt}},
    Magic{512, "EFI PART"sv, {"a raw disk", ImageFormat::raw}},
    Magic{1080, "\x53\xef"sv, {"a raw ext file system", ImageFormat::raw}},
    Magic{0, "XFSB"sv, {"a raw xfs", ImageFormat::raw}},
    Magic{510, "\x55\xaa"sv, {"a raw disk", ImageFormat::raw}},
};

// Enough for every magic.
constexpr std::size_t head_bytes = 4096;

Result<std::string> read_head(const std::string& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file)
        return Error{ErrorKind::not_found, "image.missing", "there is no image file " + path};
    std::string head(head_bytes, '\0');
    std::size_t filled = 0;
    while (filled < head.size()) {
        const ssize_t got = ::read(file.get(), head.data() + filled, head.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error("image.copy", "cannot read " + path);
        if (got == 0) break;
        filled += static_cast<std::size_t>(got);
    }
    head.resize(filled);
    return head;
}

// An archive from before the magic: the checksum of its first header is right.
bool is_old_tar(std::string_view head) {
    constexpr std::size_t header = 512;
    constexpr std::size_t sum_at = 148;
    constexpr std::size_t sum_length = 8;
    if (head.size() < header || head.front() == '\0') return false;
    std::size_t sum = 0;
    for (std::size_t i = 0; i < header; ++i)
        sum += i >= sum_at && i < sum_at + sum_length ? ' ' : static_cast<unsigned char>(head[i]);
    std::size_t said = 0;
    for (const char digit : head.substr(sum_at, sum_length))
        if (digit >= '0' && digit <= '7') said = said * 8 + static_cast<std::size_t>(digit - '0');
    return said == sum;
}

// Big-endian, of a qcow2 disk's header.
std::uint64_t number_at(std::string_view head, std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    for (const char byte : head.substr(at, bytes))
        value = value << 8U | static_cast<unsigned char>(byte);
    return value;
}

// A disk that names other files of the node would show them to whoever uses the VM: no node starts
// from it.
Result<void> check_whole(const std::string& path, std::string_view head) {
    constexpr std::size_t oldest_header = 72;
    constexpr std::size_t newer_header = 80;
    constexpr std::uint64_t data_elsewhere = 1U << 2U;
    if (head.size() < oldest_header) return {};
    std::string why;
    if (number_at(head, 8, 8) != 0) why = "holds only what differs from another image";
    if (number_at(head, 32, 4) != 0) why = "is encrypted";
    if (number_at(head, 4, 4) == 3 && head.size() >= newer_header &&
        (number_at(head, 72, 8) & data_elsewhere) != 0)
        why = "has its data in another file";
    if (why.empty()) return {};
    return Error{ErrorKind::invalid, "image.not_whole",
                 path + " " + why +
                     ", and nodes refuse such a disk: qemu-img convert -O qcow2 makes "
                     "one that is whole"};
}

bool is_text(std::string_view head) {
    return std::ranges::all_of(head, [](unsigned char letter) {
        return letter >= 0x20 || letter == '\n' || letter == '\r' || letter == '\t';
    });
}

Kind kind_of(std::string_view head) {
    for (const Magic& magic : magics)
        if (head.size() >= magic.at && head.substr(magic.at).starts_with(magic.bytes))
            return magic.kind;
    if (is_old_tar(head)) return {"a tar archive", ImageFormat::tar};
    if (head.empty()) return {"an empty file", std::nullopt};
    if (is_text(head)) return {"a text", std::nullopt};
    return {"data of no kind that is known here", std::nullopt};
}

std::string_view word_for(ImageFormat format) {
    if (format == ImageFormat::tar) return "a tar archive";
    return format == ImageFormat::qcow2 ? "a qcow2 disk" : "a raw disk";
}

}  // namespace

Result<void> check_image_kind(const std::string& path) {
    QVD_TRY(const std::string head, read_head(path));
    const Kind kind = kind_of(head);
    const std::string name = std::filesystem::path(path).filename().string();
    const ImageFormat promised = hkd::format_of(name);
    if (kind.format == promised)
        return promised == ImageFormat::qcow2 ? check_whole(path, head) : Result<void>();
    const std::string found = path + " is " + std::string(kind.name) + ", ";
    if (!kind.format)
        return Error{ErrorKind::invalid, "image.kind",
                     found +
                         "no image: give a tar archive (.tar, .tar.gz, .tar.xz, .tar.zst) or a "
                         "disk (.qcow2, .img); --force adds it all the same"};
    return Error{ErrorKind::invalid, "image.kind",
                 found + "but nodes would take it for " + std::string(word_for(promised)) +
                     " because of its name: rename it; --force adds it all the same"};
}

Result<void> check_image_fits(const std::string& path, const std::string& hypervisor) {
    const ImageFormat format = hkd::format_of(std::filesystem::path(path).filename().string());
    const bool archive = format == ImageFormat::tar;
    const bool containers = hypervisor.starts_with("lxc");
    if ((!containers && hypervisor != "kvm") || archive == containers) return {};
    return Error{ErrorKind::invalid, "image.hypervisor",
                 path + " is " + std::string(word_for(format)) + ", but VMs of this OSF run on " +
                     hypervisor + ", which needs " +
                     (containers ? "a tar archive (.tar, .tar.gz, .tar.xz, .tar.zst)"
                                 : "a disk (.qcow2, .img)") +
                     ": give another image, or the OSF the property vm.hypervisor; --force adds "
                     "it all the same"};
}

}  // namespace qvd::admin
