#include "tests/plugins/parts.hpp"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace qvd::test {

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

void write_file(const std::string& path, const std::string& content, unsigned mode) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << content;
    ::chmod(path.c_str(), mode);
}

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

bool exists(const std::string& path) {
    struct stat found {};
    return ::lstat(path.c_str(), &found) == 0;
}

void skip_all(const std::string& reason) {
    std::printf("skipped: %s\n", reason.c_str());
    std::fflush(stdout);
    ::_exit(77);
}

const qvd_hypervisor* hypervisor_in(const char* file) {
    void* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    const auto entry = reinterpret_cast<const qvd_plugin* (*)()>(::dlsym(library, "qvd_plugin_v1"));
    const qvd_plugin* const plugin = entry();
    const auto* const interface =
        static_cast<const qvd_interface*>(qvd_array_at(&plugin->interfaces, 0));
    return static_cast<const qvd_hypervisor*>(interface->table);
}

}  // namespace qvd::test
