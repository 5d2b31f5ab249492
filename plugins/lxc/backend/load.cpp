#include "backend/load.hpp"

#include "common/files.hpp"

#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace qvd::lxc {

namespace {

// The number behind a name at a line's beginning.
double number_behind(const std::string& text, const std::string& name) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.compare(0, name.size(), name) == 0)
            return std::strtod(line.c_str() + line.find_first_of("0123456789"), nullptr);
    return 0;
}

double all_mhz(const std::string& text) {
    double sum = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.compare(0, 7, "cpu MHz") == 0)
            sum += std::strtod(line.c_str() + line.find(':') + 1, nullptr);
    return sum;
}

}  // namespace

sdk::Capacity Load::measure() {
    constexpr double kib_of_mib = 1024;
    sdk::Capacity capacity;
    capacity.cpus = static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
    const std::string memory = read_file("/proc/meminfo").value_or(std::string());
    capacity.total_memory_mib = number_behind(memory, "MemTotal:") / kib_of_mib;
    capacity.free_memory_mib = number_behind(memory, "MemAvailable:") / kib_of_mib;
    capacity.cpu_mhz = all_mhz(read_file("/proc/cpuinfo").value_or(std::string()));

    std::istringstream times(read_file("/proc/stat").value_or(std::string()));
    std::string cpu;
    times >> cpu;
    std::uint64_t all = 0;
    std::uint64_t idle = 0;
    for (int column = 0; column < 8; ++column) {
        std::uint64_t ticks = 0;
        times >> ticks;
        all += ticks;
        if (column == 3 || column == 4) idle += ticks;  // idle, and waiting for a disk
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (all > all_before_)
        capacity.idle_cpu =
            static_cast<double>(idle - idle_before_) / static_cast<double>(all - all_before_);
    capacity.idle_cpu = std::clamp(capacity.idle_cpu, 0.0, 1.0);
    idle_before_ = idle;
    all_before_ = all;
    return capacity;
}

}  // namespace qvd::lxc
