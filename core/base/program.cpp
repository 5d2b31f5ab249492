#include "base/program.hpp"

#include "base/text.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace qvd::program {

bool is_there(const std::string& name) {
    if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0;
    const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    const std::vector<std::string> folders = text::split(path == nullptr ? "" : path, ':');
    return std::ranges::any_of(folders, [&name](const std::string& folder) {
        return ::access(std::string(folder).append("/").append(name).c_str(), X_OK) == 0;
    });
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& changed,
                                          const std::set<std::string>& without) {
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        const std::string name = text.substr(0, text.find('='));
        if (!changed.contains(name) && !without.contains(name)) environment.push_back(text);
    }
    for (const auto& [name, value] : changed)
        environment.push_back(std::string(name).append("=").append(value));
    return environment;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace qvd::program
