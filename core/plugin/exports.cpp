#include "plugin/exports.hpp"

#include "base/file.hpp"

#include <elf.h>

#include <cstring>
#include <optional>
#include <string_view>

namespace qvd::plugin {

namespace {

constexpr std::size_t max_file_bytes = 512UL * 1024 * 1024;

// A file's bytes, of which nothing outside is ever read, whatever its headers claim.
class Image {
public:
    explicit Image(std::string bytes) : bytes_(std::move(bytes)) {}

    template <class T>
    [[nodiscard]] std::optional<T> at(std::uint64_t offset) const {
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
        T value{};
        std::memcpy(&value, bytes_.data() + offset, sizeof value);
        return value;
    }
    // The text that begins there; nothing if it has no end.
    [[nodiscard]] std::optional<std::string> text_at(std::uint64_t offset) const {
        if (offset >= bytes_.size()) return std::nullopt;
        const std::size_t end = bytes_.find('\0', offset);
        if (end == std::string::npos) return std::nullopt;
        return bytes_.substr(offset, end - offset);
    }

private:
    std::string bytes_;
};

constexpr std::uint16_t this_machine =
#if defined(__x86_64__)
    EM_X86_64;
#elif defined(__aarch64__)
    EM_AARCH64;
#elif defined(__riscv)
    EM_RISCV;
#else
    EM_NONE;
#endif

bool is_shared_object(const Elf64_Ehdr& head) {
    return std::memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 &&
           head.e_ident[EI_CLASS] == ELFCLASS64 && head.e_type == ET_DYN &&
           (this_machine == EM_NONE || head.e_machine == this_machine);
}

bool is_exported(const Elf64_Sym& symbol) {
    const unsigned binding = ELF64_ST_BIND(symbol.st_info);
    const unsigned visibility = ELF64_ST_VISIBILITY(symbol.st_other);
    return symbol.st_shndx != SHN_UNDEF && symbol.st_name != 0 &&
           (binding == STB_GLOBAL || binding == STB_WEAK || binding == STB_GNU_UNIQUE) &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

std::optional<Elf64_Shdr> section(const Image& image, const Elf64_Ehdr& head, std::size_t index) {
    if (head.e_shentsize != sizeof(Elf64_Shdr) || index >= head.e_shnum) return std::nullopt;
    return image.at<Elf64_Shdr>(head.e_shoff + index * sizeof(Elf64_Shdr));
}

// The names of one table; nothing if it leads out of the file.
std::optional<std::vector<std::string>> names_of(const Image& image, const Elf64_Shdr& table,
                                                 const Elf64_Shdr& strings) {
    std::vector<std::string> names;
    for (std::uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
        const auto symbol = image.at<Elf64_Sym>(table.sh_offset + at);
        if (!symbol) return std::nullopt;
        if (!is_exported(*symbol)) continue;
        const auto name = image.text_at(strings.sh_offset + symbol->st_name);
        if (!name) return std::nullopt;
        names.push_back(*name);
    }
    return names;
}

std::optional<std::vector<std::string>> dynamic_names(const Image& image) {
    const auto head = image.at<Elf64_Ehdr>(0);
    if (!head || !is_shared_object(*head)) return std::nullopt;
    for (std::size_t i = 0; i < head->e_shnum; ++i) {
        const auto table = section(image, *head, i);
        if (!table) return std::nullopt;
        if (table->sh_type != SHT_DYNSYM) continue;
        const auto strings = section(image, *head, table->sh_link);
        if (!strings) return std::nullopt;
        return names_of(image, *table, *strings);
    }
    return std::nullopt;
}

}  // namespace

Result<std::vector<std::string>> exported_symbols(const std::string& path) {
    QVD_TRY(std::string bytes, file::read(path, max_file_bytes));
    auto names = dynamic_names(Image(std::move(bytes)));
    if (names) return std::move(*names);
    return Error{ErrorKind::invalid, "plugin.file",
                 path + " is not a shared object of this machine"};
}

}  // namespace qvd::plugin
