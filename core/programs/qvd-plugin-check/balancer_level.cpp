// Level balancer: thousands of placements, each answered with one of the nodes.
#include "levels.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <random>
#include <thread>

namespace qvd::check {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int placements = 3000;
constexpr int placements_at_once = 500;
constexpr int threads_at_once = 4;
constexpr std::chrono::milliseconds patience{1000};
constexpr std::chrono::microseconds allowed{1000};  // of a [loop] function
constexpr unsigned char unlike_anything = 0xA5;

// A farm as the broker might show it: elements may lie further apart than this release's.
class RandomPlacement {
public:
    RandomPlacement(std::mt19937_64& random, std::size_t count, std::size_t extra)
        : names_(count),
          stride_(sizeof(qvd_node) + extra),
          bytes_(count * stride_ + 1, unlike_anything) {
        for (std::size_t i = 0; i < count; ++i) add_node(random, i);
        raw_.size = sizeof raw_;
        raw_.vm_id = random() % 1000 + 1;
        raw_.user_id = raw_.osf_id = raw_.di_id = 1;
        for (qvd_str* text :
             {&raw_.vm_uuid, &raw_.vm_name, &raw_.user_name, &raw_.osf_name, &raw_.di_path})
            *text = {"check", 5};
        raw_.last_node_id = random() % (count + 1);
        raw_.needed_memory_mib = 512;
        for (qvd_array* array : {&raw_.vm_properties, &raw_.user_properties, &raw_.osf_properties,
                                 &raw_.di_properties})
            *array = {nullptr, 0, sizeof(qvd_property)};
        raw_.nodes = {bytes_.data(), count, stride_};
    }
    ~RandomPlacement() = default;
    RandomPlacement(const RandomPlacement&) = delete;
    RandomPlacement(RandomPlacement&&) = delete;
    RandomPlacement& operator=(const RandomPlacement&) = delete;
    RandomPlacement& operator=(RandomPlacement&&) = delete;

    [[nodiscard]] const qvd_placement* raw() const { return &raw_; }
    [[nodiscard]] std::size_t count() const { return raw_.nodes.count; }
    [[nodiscard]] qvd_snapshot snapshot() const {
        return {sizeof(qvd_snapshot), 0, 0, raw_.nodes, {nullptr, 0, sizeof(qvd_vm_entry)}};
    }

private:
    void add_node(std::mt19937_64& random, std::size_t index) {
        std::uniform_real_distribution<double> part(0, 1);
        names_[index] = "node" + std::to_string(index);
        const qvd_str name{names_[index].c_str(), names_[index].size()};
        qvd_node node{};
        node.size = static_cast<std::uint32_t>(stride_);
        node.flags = QVD_NODE_RUNNING;
        node.id = index + 1;
        node.uuid = node.name = node.address = name;
        // Some never reported a load; some are full.
        const bool silent = random() % 20 == 0;
        node.total_memory_mib = silent ? 0 : 4096.0 * static_cast<double>(random() % 64 + 1);
        node.free_memory_mib = random() % 10 == 0 ? 0 : node.total_memory_mib * part(random);
        node.cpus = silent ? 0 : static_cast<std::uint32_t>(random() % 128 + 1);
        node.vms = static_cast<std::uint32_t>(random() % 200);
        node.idle_cpu = random() % 10 == 0 ? 0 : part(random);
        node.cpu_mhz = random() % 5 == 0 ? 0 : 2500.0 * node.cpus;
        node.load_age_ms = silent ? -1 : static_cast<std::int64_t>(random() % 30'000);
        node.properties = {nullptr, 0, sizeof(qvd_property)};
        std::memcpy(bytes_.data() + index * stride_, &node, sizeof node);
    }

    std::vector<std::string> names_;
    std::size_t stride_;
    std::vector<unsigned char> bytes_;
    qvd_placement raw_{};
};

struct Answers {
    int chosen = 0;
    int refused = 0;
    std::vector<std::chrono::nanoseconds> times;
};

class BalancerTrial {
public:
    BalancerTrial(const qvd_load_balancer& table, void* self, Messenger& messenger)
        : table_(table), self_(self), messenger_(messenger) {}

    bool init(const RandomPlacement& farm) {
        if (!QVD_HAS(qvd_load_balancer, &table_, init) || table_.init == nullptr) return true;
        messenger_.step("init() of the balancer");
        const qvd_snapshot snapshot = farm.snapshot();
        FakeCall& call = calls_.emplace_back();
        const auto status = call.end(table_.init(self_, &snapshot, call.raw()), patience);
        if (status == QVD_OK) return true;
        messenger_.error("the balancer's init() fails: " +
                         (status ? call.sentence() : "it never completes its pending call"));
        return false;
    }

    // What is wrong with the answer; empty if nothing is.
    std::string ask(const RandomPlacement& placement, FakeCall& call, Answers& answers) {
        const auto before = Clock::now();
        const qvd_status returned = table_.choose(self_, placement.raw(), call.raw());
        answers.times.push_back(Clock::now() - before);
        const auto status = call.end(returned, patience);
        if (!status) return "choose() answers QVD_PENDING and never completes the call";
        if (*status == QVD_UNAVAILABLE) {
            ++answers.refused;
            return {};
        }
        const std::string of = " of " + std::to_string(placement.count());
        if (*status != QVD_OK)
            return "choose() fails with status " + std::to_string(*status) +
                   "; it must choose, or answer QVD_UNAVAILABLE";
        if (!call.choice())
            return "choose() answers QVD_OK without a choice; hand one back by qvd_call_choose()";
        if (*call.choice() >= placement.count())
            return "choose() chooses node " + std::to_string(*call.choice()) + of +
                   "; the index counts from 0 into placement->nodes";
        ++answers.chosen;
        return {};
    }

    // One after the other, on one thread. False if something was wrong.
    bool ask_often(std::mt19937_64& random, Answers& answers) {
        constexpr std::array<std::size_t, 6> counts{1, 2, 3, 10, 100, 1000};
        constexpr std::array<std::size_t, 3> extras{0, 8, 64};
        for (int i = 0; i < placements; ++i) {
            const std::size_t count = counts.at(static_cast<std::size_t>(i) % counts.size());
            const std::size_t extra = extras.at(random() % extras.size());
            const RandomPlacement placement(random, count, extra);
            if (i % 100 == 0) messenger_.step("choose() of the balancer");
            FakeCall& call = calls_.emplace_back(extra != 0);
            const std::string wrong = ask(placement, call, answers);
            if (!wrong.empty()) {
                messenger_.error("the balancer's " + wrong);
                return false;
            }
        }
        return ended_once();
    }

    // As the core calls one that declares QVD_CONCURRENT.
    bool ask_at_once(std::mt19937_64& random) {
        messenger_.step("several choose() of the balancer at once");
        const RandomPlacement placement(random, 10, 0);
        std::vector<std::thread> askers;
        askers.reserve(threads_at_once);
        std::vector<std::string> wrongs(threads_at_once);
        for (std::string& wrong : wrongs)
            askers.emplace_back([this, &placement, &wrong] {
                for (int i = 0; i < placements_at_once && wrong.empty(); ++i) {
                    FakeCall call;
                    Answers ignored;
                    wrong = ask(placement, call, ignored);
                }
            });
        for (std::thread& asker : askers) asker.join();
        const auto wrong = std::ranges::find_if_not(wrongs, &std::string::empty);
        if (wrong == wrongs.end()) return true;
        messenger_.error("called by several threads at once, the balancer's " + *wrong);
        return false;
    }

private:
    bool ended_once() {
        const bool once = std::ranges::all_of(
            calls_, [](const FakeCall& call) { return call.completions() <= 1; });
        if (!once)
            messenger_.error(
                "the balancer's choose() completes one call twice; complete() is the last thing "
                "that a plugin does with a call");
        return once;
    }

    const qvd_load_balancer& table_;
    void* self_;
    Messenger& messenger_;
    std::deque<FakeCall> calls_;  // kept, so that a late complete() finds its call
};

void judge_times(Answers& answers, qvd_threading threading, Messenger& messenger) {
    if (answers.chosen == 0)
        messenger.warning("the balancer refused every one of " + std::to_string(answers.refused) +
                          " placements: no VM would ever start");
    if (answers.times.empty() || (threading & QVD_MAY_BLOCK) != 0U) return;
    std::ranges::sort(answers.times);
    // The farms of 1000 nodes are a sixth of all.
    const auto slow = answers.times.at(answers.times.size() * 95 / 100);
    if (slow <= allowed) return;
    messenger.warning(
        "choose() takes " +
        std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(slow).count()) +
        " us where it may take 1000: it holds up every login; prepare on a timer, or declare "
        "QVD_MAY_BLOCK");
}

}  // namespace

void check_balancer(const Subject& subject, const plugin::Library& library, Messenger& messenger) {
    const qvd_interface_head* const head =
        plugin::find_interface(library.plugin(), QVD_LOAD_BALANCER);
    if (head == nullptr) return messenger.not_applicable();
    messenger.enter(Level::balancer);
    const auto& table = *reinterpret_cast<const qvd_load_balancer*>(head);  // NOLINT
    FakeCore core(settings_of(library.manifest(), subject.given), {}, false);
    Trial trial(*head, core);
    messenger.step("create() of the balancer");
    if (const std::string wrong = trial.create(); !wrong.empty())
        return messenger.error("the balancer's " + wrong);
    // The same farms at each run.
    std::mt19937_64 random{20'240'001};  // NOLINT(cert-msc32-c,cert-msc51-cpp)
    BalancerTrial balancer(table, trial.self(), messenger);
    Answers answers;
    if (!balancer.init(RandomPlacement(random, 10, 0))) return;
    if (!balancer.ask_often(random, answers)) return;
    constexpr auto may_block = static_cast<qvd_threading>(QVD_MAY_BLOCK);
    if ((table.threading & ~may_block) == QVD_CONCURRENT && !balancer.ask_at_once(random)) return;
    judge_times(answers, table.threading, messenger);
    messenger.step("destroy() of the balancer");
    trial.destroy();
    for (const std::string& what : core.take_complaints()) {
        messenger.error("the balancer " + what);
        break;
    }
}

}  // namespace qvd::check
