// Which programs this process and its descendants run.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace qvd::test {

// Asks the kernel to be asked before a program of the root file system is run, and says yes. What
// VMs run is on file systems of theirs.
class Executions {
public:
    // From now on; null where the kernel does not do that for us.
    static std::unique_ptr<Executions> begin();
    ~Executions();
    Executions(const Executions&) = delete;
    Executions& operator=(const Executions&) = delete;

    // Their files, of whoever descends from this process, since this was asked last.
    std::vector<std::string> take();

private:
    Executions(int events, int stop);
    void answer();

    int events_;
    int stop_;
    std::mutex mutex_;  // guards programs_
    std::vector<std::string> programs_;
    std::thread thread_;
};

// Of one process, all its threads, until now; 0 if there is none.
double cpu_seconds_of(int pid);

}  // namespace qvd::test
