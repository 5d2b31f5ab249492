#include "base/process_facts.hpp"

#include "base/file.hpp"
#include "base/text.hpp"

#include <sys/stat.h>

#include <string>

namespace qvd {

std::optional<ProcessFacts> facts_of(pid_t pid) {
    const std::string folder = "/proc/" + std::to_string(pid);
    struct stat owner {};
    const Result<std::string> text = file::read(folder + "/stat", 4096);
    if (!text.ok() || ::stat(folder.c_str(), &owner) != 0) return std::nullopt;
    // "12 (name) S 1 ...": the name may hold anything; after its last bracket come state, parent...
    const std::size_t end_of_name = text->rfind(')');
    if (end_of_name == std::string::npos) return std::nullopt;
    const auto fields = text::split_list(std::string_view(*text).substr(end_of_name + 1), ' ');
    constexpr std::size_t start_time = 22 - 3;
    if (fields.size() <= start_time) return std::nullopt;
    const auto parent = text::to_integer(fields[1]);
    const auto started = text::to_integer(fields[start_time]);
    if (!parent || !started) return std::nullopt;
    return ProcessFacts{static_cast<pid_t>(*parent), owner.st_uid,
                        static_cast<std::uint64_t>(*started), fields[0] == "Z" || fields[0] == "X"};
}

}  // namespace qvd
