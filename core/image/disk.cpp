#include "image/disk.hpp"

#include "base/file.hpp"
#include "base/unique_fd.hpp"
#include "image/command.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace qvd::image {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t sector = 512;
constexpr std::uint64_t mebibyte = 1U << 20U;
constexpr std::uint64_t first_sector = mebibyte / sector;  // of the partition
constexpr std::uint64_t free_bytes = 2048 * mebibyte;
constexpr std::size_t most_core_bytes = (first_sector - 1) * sector;
// GRUB of the last releases reads no file systems with these.
constexpr const char* features = "^metadata_csum_seed,^orphan_file";

Error failure(const std::string& code, const std::string& sentence) {
    return {ErrorKind::unavailable, "image." + code, sentence};
}

std::uint64_t bytes_below(const std::string& root) {
    std::uint64_t bytes = 0;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(root, ignored)) {
        constexpr std::uint64_t block = 4096;
        bytes += block;
        if (!entry.is_symlink(ignored) && entry.is_regular_file(ignored))
            bytes += (entry.file_size(ignored) + block - 1) / block * block;
    }
    return bytes;
}

Result<std::string> grub_part(const std::string& root, const std::string& name, std::size_t most) {
    const std::string path = root + "/boot/grub/" + name;
    auto content = file::read(path, most);
    if (content.ok()) return content;
    return failure("boot", "the recipe puts no /boot/grub/" + name +
                               " into the disk, so that no machine could start from it (or it is "
                               "larger than " +
                               std::to_string(most) + " bytes)");
}

void put_le32(std::string& bytes, std::size_t at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xffU);
}

Result<void> write_at(int fd, const std::string& bytes, std::uint64_t at) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written == static_cast<ssize_t>(bytes.size())) return {};
    return errno_error("image.output", "cannot write the disk");
}

Result<void> begin_disk(const std::string& path, const std::string& head, const std::string& core,
                        std::uint64_t bytes) {
    const UniqueFd disk{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (!disk) return errno_error("image.output", "cannot write " + path);
    QVD_CHECK(write_at(disk.get(), head, 0));
    QVD_CHECK(write_at(disk.get(), core, sector));
    if (::ftruncate(disk.get(), static_cast<off_t>(bytes)) != 0)
        return errno_error("image.output", "cannot make " + path + " large enough");
    return {};
}

Result<void> run(std::vector<std::string> arguments, int stop_fd) {
    const std::string program = arguments.front();
    std::string last;
    Command command{std::move(arguments), {{"LC_ALL", "C.UTF-8"}}};
    command.stop_fd = stop_fd;
    QVD_TRY(const int status, run_command(command, [&](const std::string& line) { last = line; }));
    if (status == 0) return {};
    const bool full = last.find("No space left on device") != std::string::npos;
    return failure(full ? "no_space" : "build", program + " failed: " + last);
}

}  // namespace

Result<std::string> boot_sector(const std::string& boot_image, std::uint32_t first,
                                std::uint32_t count) {
    constexpr std::size_t code_bytes = 440;
    if (boot_image.size() != sector)
        return failure("boot", "GRUB's boot.img has " + std::to_string(boot_image.size()) +
                                   " bytes instead of 512");
    constexpr std::size_t entry = 446;
    std::string bytes = boot_image.substr(0, code_bytes);
    bytes.resize(sector, '\0');
    constexpr std::string_view anywhere = "\xfe\xff\xff";  // no cylinders: count sectors
    bytes[entry] = '\x80';                                 // start from it
    bytes.replace(entry + 1, anywhere.size(), anywhere);
    bytes[entry + 4] = '\x83';  // Linux
    bytes.replace(entry + 5, anywhere.size(), anywhere);
    put_le32(bytes, entry + 8, first);
    put_le32(bytes, entry + 12, count);
    bytes.replace(sector - 2, 2, "\x55\xaa");
    return bytes;
}

Result<void> make_disk(const DiskOrder& order,
                       const std::function<void(const std::string&)>& begin) {
    QVD_TRY(const std::string boot, grub_part(order.root, "boot.img", sector));
    QVD_TRY(const std::string core, grub_part(order.root, "core.img", most_core_bytes));
    const std::uint64_t used = bytes_below(order.root);
    const std::uint64_t mebibytes = (used + used / 10 + free_bytes) / mebibyte;
    const auto sectors = static_cast<std::uint32_t>(mebibytes * mebibyte / sector);
    QVD_TRY(const std::string head, boot_sector(boot, first_sector, sectors));

    const bool is_raw = order.output.ends_with(".raw");
    const std::string raw = is_raw ? order.output : order.work + "/disk.raw";
    QVD_CHECK(begin_disk(raw, head, core, (1 + mebibytes) * mebibyte));
    begin("making a file system of " + std::to_string(mebibytes) + " MiB");
    QVD_CHECK(run({"mkfs.ext4", "-q", "-F", "-L", root_label, "-O", features, "-E",
                   "offset=" + std::to_string(mebibyte) + ",root_owner=0:0", "-d", order.root, raw,
                   std::to_string(mebibytes * 1024) + "k"},
                  order.stop_fd));
    if (is_raw) return {};
    begin("converting the disk to qcow2");
    return run({"qemu-img", "convert", "-O", "qcow2", raw, order.output}, order.stop_fd);
}

}  // namespace qvd::image
