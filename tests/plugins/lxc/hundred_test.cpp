// A hundred containers of one node: what they take. With QVD_TEST_EVERYTHING=1 only.
#include "stage.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

using namespace qvd::test;

namespace {

constexpr std::uint64_t first_vm = 100;
constexpr std::uint64_t count = 100;
constexpr unsigned workers = 4;

using Clock = std::chrono::steady_clock;

std::int64_t ms_since(Clock::time_point then) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - then).count();
}

int pss_kib(const std::string& pid) {
    std::istringstream lines(read_file("/proc/" + pid + "/smaps_rollup"));
    for (std::string word; lines >> word;)
        if (word == "Pss:") {
            int kib = 0;
            lines >> kib;
            return kib;
        }
    return 0;
}

// The keeper and the process that liblxc runs in.
int pss_of(Stage& stage, VmOrder& vm) {
    const std::string keeper = std::to_string(stage.state(vm).pid);
    std::istringstream children(read_file("/proc/" + keeper + "/task/" + keeper + "/children"));
    std::string liblxc;
    children >> liblxc;
    return pss_kib(keeper) + pss_kib(liblxc);
}

using Vms = std::vector<std::unique_ptr<VmOrder>>;

// Why some did not start, a line each.
std::string start_all(Stage& stage, Vms& vms, unsigned at_once) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;  // guards failed
    std::string failed;
    std::vector<std::thread> threads;
    for (unsigned one = 0; one < at_once; ++one)
        threads.emplace_back([&] {
            for (std::size_t mine = next++; mine < vms.size(); mine = next++) {
                CallStandIn call;
                if (stage.start(*vms[mine], call) == QVD_OK) continue;
                const std::lock_guard lock(mutex);
                failed += std::to_string(first_vm + mine) + ": " + call.sentence + "\n";
            }
        });
    for (std::thread& thread : threads) thread.join();
    return failed;
}

}  // namespace

TEST_CASE("a hundred containers start one after the other, or four at once, and take little") {
    if (std::getenv("QVD_TEST_EVERYTHING") == nullptr)
        return qvd::test::skip("a minute of figures: with QVD_TEST_EVERYTHING=1 only");
    Stage stage;
    Vms vms;
    for (std::uint64_t id = first_vm; id < first_vm + count; ++id)
        vms.push_back(std::make_unique<VmOrder>(stage.world, id));
    for (const unsigned at_once : {1U, workers}) {
        CAPTURE(at_once);
        const auto began = Clock::now();
        CHECK(start_all(stage, vms, at_once) == "");
        const std::int64_t took = ms_since(began);
        CHECK(stage.survey().size() == count);
        CHECK(fetch(vms.front()->address(), "index.html") == "hello\n");
        CHECK(fetch(vms.back()->address(), "index.html") == "hello\n");
        int kib = 0;
        for (const auto& vm : vms) kib += pss_of(stage, *vm);
        const auto ending = Clock::now();
        for (const auto& vm : vms) stage.destroy(*vm);
        MESSAGE("100 containers, " << at_once << " at once: started in " << took
                                   << " ms, destroyed one by one in " << ms_since(ending)
                                   << " ms; our processes take " << kib / int{count}
                                   << " KiB of each (PSS)");
        CHECK(kib / int{count} <= 2048);
    }
    CHECK(stage.world.left_overs() == "");
}
