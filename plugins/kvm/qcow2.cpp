#include "qcow2.hpp"

#include <qvd/plugin.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace qvd::kvm {

namespace {

// The format is QEMU's docs/interop/qcow2.txt; all numbers are big-endian.
constexpr std::uint32_t magic = 0x514649fb;
constexpr std::uint32_t header_bytes = 104;
constexpr std::uint32_t cluster_bits = 16;
constexpr std::uint64_t cluster = 1ULL << cluster_bits;
constexpr std::uint64_t bytes_of_l1_entry = cluster * (cluster / 8);  // one table of clusters
constexpr std::uint32_t backing_format_extension = 0xe2792aca;
constexpr std::uint64_t external_data_file = 1U << 2U;
constexpr std::uint64_t most_bytes = 1ULL
                                     << 46U;  // 64 TiB: its tables fit into one block of counts
constexpr std::uint64_t sector = 512;

class Bytes {
public:
    void u16(std::uint64_t value) { put(value, 2); }
    void u32(std::uint64_t value) { put(value, 4); }
    void u64(std::uint64_t value) { put(value, 8); }
    void text(std::string_view text) { bytes_ += text; }
    void fill_to(std::uint64_t size) { bytes_.resize(size, '\0'); }
    [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
    [[nodiscard]] const std::string& all() const { return bytes_; }

private:
    void put(std::uint64_t value, unsigned bytes) {
        for (unsigned i = bytes; i-- > 0;) bytes_ += static_cast<char>(value >> (8 * i) & 0xffU);
    }
    std::string bytes_;
};

std::uint64_t number_at(const std::array<unsigned char, header_bytes>& header, std::size_t at,
                        unsigned bytes) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8U | header.at(at + i);
    return value;
}

class File {
public:
    File(const std::string& path, int flags, unsigned mode = 0)
        : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

[[noreturn]] void fail(const std::string& what) {
    const qvd_status status = errno == ENOENT ? QVD_NOT_FOUND : QVD_UNAVAILABLE;
    throw sdk::Failure(status, "cannot " + what + ": " + std::strerror(errno));
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw sdk::Failure(QVD_INVALID, path + " cannot be a disk of a virtual machine: " + why);
}

std::uint64_t size_of(const std::string& path, int fd) {
    struct stat found {};
    if (::fstat(fd, &found) != 0) fail("read " + path);
    if (!S_ISREG(found.st_mode)) refuse(path, "it is no file");
    return static_cast<std::uint64_t>(found.st_size);
}

// Without backing file: 0, 0; the name follows the extensions, in the first cluster.
std::string header_of(const NewImage& image, std::uint64_t l1_entries) {
    const bool backed = !image.backing.empty();
    Bytes extensions;
    if (backed) {
        extensions.u32(backing_format_extension);
        extensions.u32(image.backing_format.size());
        extensions.text(image.backing_format);
        extensions.fill_to((extensions.size() + 7) / 8 * 8);
    }
    extensions.u64(0);  // the end of them
    Bytes header;
    header.u32(magic);
    header.u32(3);  // version
    header.u64(backed ? header_bytes + extensions.size() : 0);
    header.u32(image.backing.size());
    header.u32(cluster_bits);
    header.u64(image.disk_bytes);
    header.u32(0);  // not encrypted
    header.u32(l1_entries);
    header.u64(3 * cluster);  // where the L1 table is
    header.u64(cluster);      // and the table of reference counts
    header.u32(1);            // in clusters
    header.u32(0);            // snapshots
    header.u64(0);
    header.u64(0);  // features: incompatible, compatible, automatically cleared
    header.u64(0);
    header.u64(0);
    header.u32(4);  // a reference count has 2^4 bits
    header.u32(header_bytes);
    header.text(extensions.all());
    header.text(image.backing);
    return header.all();
}

std::string content_of(const NewImage& image) {
    const std::uint64_t l1_entries = (image.disk_bytes + bytes_of_l1_entry - 1) / bytes_of_l1_entry;
    const std::uint64_t l1_clusters = (l1_entries * 8 + cluster - 1) / cluster;
    Bytes bytes;
    bytes.text(header_of(image, l1_entries));
    bytes.fill_to(cluster);
    bytes.u64(2 * cluster);  // the only block of reference counts
    bytes.fill_to(2 * cluster);
    for (std::uint64_t used = 0; used < 3 + l1_clusters; ++used) bytes.u16(1);
    bytes.fill_to((3 + l1_clusters) * cluster);
    return bytes.all();
}

}  // namespace

std::uint64_t check_qcow2(const std::string& path) {
    const File file(path, O_RDONLY);
    if (file.fd() < 0) fail("open the image " + path);
    size_of(path, file.fd());
    std::array<unsigned char, header_bytes> header{};
    const ssize_t read = ::pread(file.fd(), header.data(), header.size(), 0);
    constexpr ssize_t oldest_header = 72;
    if (read < oldest_header || number_at(header, 0, 4) != magic)
        refuse(path, "it is no qcow2 image");
    const std::uint64_t version = number_at(header, 4, 4);
    if (version != 2 && version != 3)
        refuse(path, "it is a qcow2 image of version " + std::to_string(version));
    if (number_at(header, 8, 8) != 0)
        refuse(path,
               "it holds only what differs from another image (qemu-img convert makes it "
               "whole)");
    if (number_at(header, 32, 4) != 0) refuse(path, "it is encrypted");
    if (version == 3 && (number_at(header, 72, 8) & external_data_file) != 0)
        refuse(path, "its data is in another file (qemu-img convert makes it whole)");
    const std::uint64_t bytes = number_at(header, 24, 8);
    if (bytes == 0 || bytes > most_bytes) refuse(path, "its disk has no sensible size");
    return bytes;
}

std::uint64_t check_raw(const std::string& path) {
    const File file(path, O_RDONLY);
    if (file.fd() < 0) fail("open the image " + path);
    const std::uint64_t bytes = (size_of(path, file.fd()) + sector - 1) / sector * sector;
    if (bytes == 0) refuse(path, "it is empty");
    if (bytes > most_bytes) refuse(path, "it is larger than 64 TiB");
    return bytes;
}

std::uint64_t check_image(const std::string& path, const std::string& format) {
    return format == "qcow2" ? check_qcow2(path) : check_raw(path);
}

void make_qcow2(const NewImage& image) {
    if (image.disk_bytes == 0 || image.disk_bytes > most_bytes)
        throw sdk::Failure(QVD_INVALID, "a disk of " + std::to_string(image.disk_bytes) +
                                            " bytes cannot be made for " + image.path);
    NewImage rounded = image;
    rounded.disk_bytes = (image.disk_bytes + sector - 1) / sector * sector;
    const std::string content = content_of(rounded);
    const std::string fresh = image.path + ".new";
    ::unlink(fresh.c_str());
    bool written = false;
    {
        const File file(fresh, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (file.fd() < 0) fail("make the disk " + image.path);
        written = ::write(file.fd(), content.data(), content.size()) ==
                  static_cast<ssize_t>(content.size());
    }
    if (written && ::rename(fresh.c_str(), image.path.c_str()) == 0) return;
    const int error = written ? errno : ENOSPC;  // a short write is a full disk
    ::unlink(fresh.c_str());
    errno = error;
    fail("make the disk " + image.path);
}

}  // namespace qvd::kvm
