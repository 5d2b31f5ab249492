// Levels life and core: create() and destroy(), again and again, by cores of several kinds.
#include "levels.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace qvd::check {

namespace {

constexpr int warm_up = 10;
constexpr int rounds = 100;
constexpr long tolerated_growth_kib = 16L * 1024;

std::size_t entries_of(const char* folder) {
    std::size_t count = 0;
    std::error_code ignored;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder, ignored))
        ++count;
    return count;
}

std::size_t open_files() {
    return entries_of("/proc/self/fd");
}

std::size_t threads() {
    return entries_of("/proc/self/task");
}

// A thread that was joined may show for a moment longer, and what a library closes behind the call.
bool goes_back_to(std::size_t count, std::size_t (*counted)()) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (counted() > count) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::yield();
    }
    return true;
}

long resident_kib() {
    std::ifstream file("/proc/self/statm");
    long total = 0;
    long resident = 0;
    file >> total >> resident;
    return resident * 4;
}

struct Maker {
    const Subject& subject;
    const plugin::Library& library;
    Messenger& messenger;
};

bool tell_complaints(FakeCore& core, const std::string& word, Messenger& messenger) {
    const auto complaints = core.take_complaints();
    const std::set<std::string> once(complaints.begin(), complaints.end());
    for (const std::string& what : once) messenger.error("the " + word + " " + what);
    return once.empty();
}

// One instance from create() to destroy(); false if something was wrong or it was refused.
bool live_once(const Maker& maker, const std::string& word, const qvd_interface_head& table) {
    const Settings settings = settings_of(maker.library.manifest(), maker.subject.given);
    FakeCore core(settings, {}, false);
    Trial trial(table, core);
    maker.messenger.step("create() of the " + word);
    const std::string wrong = trial.create();
    if (!wrong.empty() && trial.refused()) {
        maker.messenger.skipped("the " + word + "'s " + wrong +
                                " (give it what it needs by --set KEY=VALUE, or check it where "
                                "that is there; the levels from life on need an instance)");
        return false;
    }
    if (!wrong.empty()) {
        maker.messenger.error("the " + word + "'s " + wrong);
        return false;
    }
    maker.messenger.step("destroy() of the " + word);
    trial.destroy();
    if (core.snapshots_out() > 0) {
        maker.messenger.error("the " + word + " keeps " + std::to_string(core.snapshots_out()) +
                              " snapshots of the inventory beyond destroy(); give each one back");
        return false;
    }
    return tell_complaints(core, word, maker.messenger);
}

void live_often(const Maker& maker, const std::string& word, const qvd_interface_head& table) {
    for (int i = 0; i < warm_up; ++i)
        if (!live_once(maker, word, table)) return;
    const std::size_t files = open_files();
    const std::size_t before = threads();
    const long memory = resident_kib();
    for (int i = 0; i < rounds; ++i)
        if (!live_once(maker, word, table)) return;
    if (!goes_back_to(files, open_files))
        maker.messenger.error("the " + word + " leaves " + std::to_string(open_files() - files) +
                              " files open after 100 lives; close in destroy() what create() "
                              "opened");
    if (!goes_back_to(before, threads))
        maker.messenger.error("the " + word + " leaves " + std::to_string(threads() - before) +
                              " threads running after destroy(); join them there");
    if (const long grown = resident_kib() - memory; grown > tolerated_growth_kib)
        maker.messenger.warning("the " + word + " grew by " + std::to_string(grown / 1024) +
                                " MiB in 100 lives; destroy() may not free what create() made");
}

// One life under a core of this kind: it must work or be refused with a sentence.
void live_under(const Maker& maker, const std::string& word, const qvd_interface_head& table,
                const std::set<std::string>& missing, bool later, const std::string& kind) {
    FakeCore core(settings_of(maker.library.manifest(), maker.subject.given), missing, later);
    Trial trial(table, core);
    maker.messenger.step("create() of the " + word + " under " + kind);
    const std::string wrong = trial.create();
    if (!wrong.empty() && !(trial.refused() && !missing.empty()))
        maker.messenger.error("under " + kind + " the " + word + "'s " + wrong);
    maker.messenger.step("destroy() of the " + word + " under " + kind);
    trial.destroy();
    tell_complaints(core, word, maker.messenger);
}

template <class Function>
void for_each_interface(const plugin::Library& library, const Function& function) {
    for (const std::string& id : library.manifest().interfaces)
        function(word_of(id), *plugin::find_interface(library.plugin(), id));
}

}  // namespace

void check_life(const Subject& subject, const plugin::Library& library, Messenger& messenger) {
    messenger.enter(Level::life);
    for (const config::Declaration& key : library.manifest().keys)
        if (key.has(config::required) && !key.fallback && !subject.given.contains(key.name))
            return messenger.skipped("the key " + key.name +
                                     " is required and has no default: give it by --set " +
                                     key.name + "=VALUE");
    const Maker maker{subject, library, messenger};
    for_each_interface(library, [&](const std::string& word, const qvd_interface_head& table) {
        live_often(maker, word, table);
    });
}

void check_core(const Subject& subject, const plugin::Library& library, Messenger& messenger) {
    messenger.enter(Level::core);
    const Maker maker{subject, library, messenger};
    for_each_interface(library, [&](const std::string& word, const qvd_interface_head& table) {
        for (const char* id : all_services)
            live_under(maker, word, table, {id}, false, std::string("a core without ") + id);
        live_under(maker, word, table, {std::begin(all_services), std::end(all_services)}, false,
                   "a core without any service");
        live_under(maker, word, table, {}, true, "a core of a later release");
    });
}

}  // namespace qvd::check
