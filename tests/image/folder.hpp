// A folder of a test, and programs in it that are found before others.
#pragma once

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace qvd::image::test {

// A folder that goes with everything in it.
class Folder {
public:
    Folder() {
        std::string path = "/tmp/qvd-image-test-XXXXXX";
        REQUIRE(::mkdtemp(path.data()) != nullptr);
        path_ = path;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string write(const std::string& name, const std::string& content) const {
        std::ofstream(path_ / name) << content;
        return (path_ / name).string();
    }
    std::string program(const std::string& name, const std::string& script) const {
        std::string file = write(name, "#!/bin/sh\n" + script);
        ::chmod(file.c_str(), 0755);
        return file;
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            names.push_back(entry.path().filename().string());
        std::ranges::sort(names);
        return names;
    }
    [[nodiscard]] std::string path(const std::string& name = "") const {
        return (path_ / name).string();
    }

private:
    std::filesystem::path path_;
};

// Puts `folder` in front of PATH while it lives.
class Path {
public:
    explicit Path(const std::string& folder) : before_(now()) {
        ::setenv("PATH", (folder + ":" + before_).c_str(), 1);
    }
    ~Path() { ::setenv("PATH", before_.c_str(), 1); }
    Path(const Path&) = delete;
    Path& operator=(const Path&) = delete;

private:
    static std::string now() {
        const char* const path = std::getenv("PATH");
        return path == nullptr ? "" : path;
    }

    std::string before_;
};

}  // namespace qvd::image::test
