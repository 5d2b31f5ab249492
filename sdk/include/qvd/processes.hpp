// qvd/processes.hpp - long-lived helpers that the core starts and holds for a plugin.
#pragma once

#include <qvd/service.hpp>

#include <functional>
#include <vector>

namespace qvd::sdk {

// A process, copied.
struct Process {
    std::string label;
    qvd_process_state state = QVD_PROCESS_RUNNING;
    std::int32_t pid = 0;
    std::int32_t exit_code = 0;
    std::uint64_t start_time = 0;

    static Process of(const qvd_process* raw) {
        return {std::string(view(raw->label)), raw->state, raw->pid, raw->exit_code,
                raw->start_time};
    }
};

// What Processes::start() is to run.
struct ProcessOrder {
    std::string label;
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::string directory;
    std::string output_path;
    SecretView input{qvd_secret{nullptr, 0}};
    std::uint32_t flags = 0;
};

// Long-lived helpers that outlive the core. Destroy it only with the plugin's instance.
class Processes {
public:
    // `ended` is called for each process that was started or adopted here. [worker]
    Processes(const Core& core, std::function<void(const Process&)> ended)
        : core_(core),
          table_(detail::needed<qvd_processes_service>(core, QVD_CORE_PROCESSES)),
          ended_(std::move(ended)) {}
    Processes(const Processes&) = delete;
    Processes(Processes&&) = delete;
    Processes& operator=(const Processes&) = delete;
    Processes& operator=(Processes&&) = delete;
    ~Processes() = default;

    Process start(const Call* call, const ProcessOrder& order) {
        const std::vector<qvd_str> arguments = texts(order.arguments);
        const std::vector<qvd_str> environment = texts(order.environment);
        const qvd_process_order raw = {sizeof raw,         order.flags,
                                       str(order.label),   array(arguments),
                                       array(environment), str(order.directory),
                                       order.input.raw(),  str(order.output_path),
                                       &Processes::ended,  this};
        std::optional<Process> process;
        detail::Collector first(QVD_KIND_PROCESS, detail::first_of<qvd_process>(process));
        first.check(table_->start(core_.raw(), detail::raw_of(call), &raw, first.sink()));
        if (!process)
            throw Failure(QVD_INTERNAL, "the core started a process and did not say which");
        return *std::move(process);
    }
    std::vector<Process> list(const Call* call) const {
        std::vector<Process> processes;
        detail::Collector all(QVD_KIND_PROCESS, [&processes](const void* raw) {
            processes.push_back(Process::of(static_cast<const qvd_process*>(raw)));
        });
        all.check(table_->list(core_.raw(), detail::raw_of(call), all.sink()));
        return processes;
    }
    // False if it has ended.
    bool adopt(const Call* call, const Process& process) {
        const qvd_process raw = {sizeof raw,  process.state,     str(process.label),
                                 process.pid, process.exit_code, process.start_time};
        detail::Collector none(0, [](const void*) {});
        return none.check(table_->adopt(core_.raw(), detail::raw_of(call), &raw, &Processes::ended,
                                        this, none.sink()),
                          QVD_NOT_FOUND) == QVD_OK;
    }
    // Both are false if it does not run.
    bool signal(std::string_view label, int number) {
        return sent(table_->signal(core_.raw(), str(label), number), label);
    }
    bool stop(std::string_view label, std::chrono::milliseconds grace) {
        return sent(table_->stop(core_.raw(), str(label), grace.count()), label);
    }

private:
    static void ended(void* self, const qvd_process* raw) noexcept {
        auto* processes = static_cast<Processes*>(self);
        try {
            processes->ended_(Process::of(raw));
        } catch (const std::exception& e) {
            processes->core_.error(e.what());
        } catch (...) {
            processes->core_.error("an exception of an unknown type after a process ended");
        }
    }
    static bool sent(qvd_status status, std::string_view label) {
        if (status == QVD_OK || status == QVD_NOT_FOUND) return status == QVD_OK;
        throw Failure(status, "the core could not signal the process " + std::string(label));
    }
    static std::vector<qvd_str> texts(const std::vector<std::string>& from) {
        std::vector<qvd_str> all;
        all.reserve(from.size());
        for (const std::string& text : from) all.push_back(str(text));
        return all;
    }
    static qvd_array array(const std::vector<qvd_str>& from) noexcept {
        return {from.data(), from.size(), sizeof(qvd_str)};
    }

    Core core_;
    const qvd_processes_service* table_;
    std::function<void(const Process&)> ended_;
};

}  // namespace qvd::sdk
