// How many programs this process and its descendants run: the kernel tells root of every fork and
// exec.
#pragma once

#include <memory>
#include <string>

namespace qvd::test {

class Executions {
public:
    // Counts from now on; null where the kernel does not tell.
    static std::unique_ptr<Executions> begin();
    ~Executions();
    Executions(const Executions&) = delete;
    Executions& operator=(const Executions&) = delete;

    // So far, of whoever descends from this process since the beginning. Processes of VMs do not
    // count; a VM that was started must still run.
    int count();

private:
    explicit Executions(int socket) : socket_(socket) {}
    struct Family;

    int socket_;
    std::unique_ptr<Family> family_;
};

// Of one process, all its threads, until now; 0 if there is none.
double cpu_seconds_of(int pid);

}  // namespace qvd::test
