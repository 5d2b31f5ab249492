// A folder of a test's own, gone afterwards.
#pragma once

#include <cstdlib>  // mkdtemp
#include <filesystem>
#include <stdexcept>
#include <string>

class Scratch {
public:
    Scratch() {
        std::string name = std::filesystem::temp_directory_path() / "qvd-supervisor-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no scratch folder");
        folder_ = name;
    }
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

private:
    std::string folder_;
};
