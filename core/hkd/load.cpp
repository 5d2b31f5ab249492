#include "hkd/load.hpp"

#include "base/file.hpp"

#include <sstream>

namespace qvd::hkd {

namespace {

constexpr std::size_t proc_limit = 8U << 20U;

Error unreadable(const std::string& what) {
    return {ErrorKind::internal, "load.unreadable", what + " does not say what it should"};
}

Result<void> read_memory(const std::string& path, NodeLoad& load) {
    QVD_TRY(const std::string text, file::read(path, proc_limit));
    std::istringstream lines(text);
    std::string name;
    double kib = 0;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        if (!(words >> name >> kib)) continue;
        if (name == "MemTotal:") load.memory_total_mib = kib / 1024;
        if (name == "MemAvailable:") load.memory_free_mib = kib / 1024;
    }
    if (load.memory_total_mib <= 0) return unreadable(path);
    return {};
}

Result<void> read_processors(const std::string& path, NodeLoad& load) {
    QVD_TRY(const std::string text, file::read(path, proc_limit));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("processor")) ++load.cpus;
        if (!line.starts_with("bogomips") && !line.starts_with("BogoMIPS")) continue;
        const auto colon = line.find(':');
        double value = 0;
        if (colon != std::string::npos && std::istringstream(line.substr(colon + 1)) >> value)
            load.cpu_bogomips += value;
    }
    if (load.cpus == 0) return unreadable(path);
    return {};
}

}  // namespace

Result<void> correct(NodeLoad& load, const plugin::NodeCapacity& capacity) {
    const auto within = [](double value, double last) { return value >= 0 && value <= last; };
    constexpr double any = 1e12;  // MiB; rules out infinity and what is no number
    if (capacity.cpus == 0 || capacity.cpus > 1U << 20U || capacity.total_memory_mib <= 0 ||
        !within(capacity.total_memory_mib, any) ||
        !within(capacity.free_memory_mib, capacity.total_memory_mib) ||
        !within(capacity.idle_cpu, 1))
        return Error{ErrorKind::internal, "backend.answer",
                     "the hypervisor says what cannot be of this node's processors and memory"};
    load.cpus = static_cast<int>(capacity.cpus);
    load.memory_total_mib = capacity.total_memory_mib;
    load.memory_free_mib = capacity.free_memory_mib;
    load.cpu_idle = capacity.idle_cpu;
    return {};
}

Result<NodeLoad> LoadMeter::read() {
    NodeLoad load;
    QVD_CHECK(read_memory(proc_ + "/meminfo", load));
    QVD_CHECK(read_processors(proc_ + "/cpuinfo", load));
    QVD_TRY(const std::string text, file::read(proc_ + "/stat", proc_limit));
    std::istringstream words(text);
    std::string cpu;
    // user nice system idle iowait irq softirq steal
    std::uint64_t user = 0;
    std::uint64_t nice = 0;
    std::uint64_t system = 0;
    std::uint64_t idle = 0;
    std::uint64_t waiting = 0;
    if (!(words >> cpu >> user >> nice >> system >> idle >> waiting) || cpu != "cpu")
        return unreadable(proc_ + "/stat");
    std::uint64_t busy = user + nice + system;
    for (std::uint64_t rest = 0, count = 0; count < 3 && words >> rest; ++count) busy += rest;
    idle += waiting;
    const auto idle_time = static_cast<double>(idle - idle_);
    const double all = idle_time + static_cast<double>(busy - busy_);
    load.cpu_idle = all > 0 ? idle_time / all : 1;
    busy_ = busy;
    idle_ = idle;
    return load;
}

}  // namespace qvd::hkd
