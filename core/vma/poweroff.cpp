#include "vma/poweroff.hpp"

#include "base/log.hpp"

#include <sys/reboot.h>
#include <sys/stat.h>

#include <csignal>

namespace qvd::vma {

namespace {

constexpr Milliseconds command_time{20'000};
constexpr Milliseconds init_time{10'000};

// Of the first process id namespace of a machine; the kernel's own constant.
constexpr ino_t machine_namespace = 0xEFFFFFFCU;

bool is_in_container() {
    struct stat facts {};
    return ::stat("/proc/self/ns/pid", &facts) == 0 && facts.st_ino != machine_namespace;
}

std::vector<std::string> command_of(const Settings& settings) {
    if (!settings.poweroff.empty()) return settings.poweroff;
    if (::access("/run/systemd/system", F_OK) == 0) return {"systemctl", "poweroff"};
    // An init that poweroff can talk to; a container's smallest inits have none.
    if (::access("/sbin/poweroff", X_OK) == 0 &&
        (::access("/run/initctl", F_OK) == 0 || ::access("/dev/initctl", F_OK) == 0))
        return {"/sbin/poweroff"};
    return {};
}

}  // namespace

Task<void> power_off(Loop& loop, Processes& processes, const Settings& settings) {
    Command command;
    command.argv = command_of(settings);
    command.limit = command_time;
    if (!command.argv.empty()) {
        const std::string program = command.argv.front();
        auto running = processes.run(command);
        const Result<Outcome> outcome = co_await std::move(running);
        if (outcome.ok() && outcome->ok()) co_return;
        log::error("vma.poweroff.failed", {{"command", program}},
                   outcome.ok() ? outcome->sentence(program) : outcome.error().sentence());
        // The administrator's own way is the only one then.
        if (!settings.poweroff.empty()) co_return;
    }
    // SIGPWR is how containers are told to halt; an init that does not know it may know SIGTERM.
    for (const int signal : {SIGPWR, SIGTERM}) {
        log::info("vma.poweroff.init", {{"signal", signal}}, "");
        ::kill(1, signal);
        co_await loop.sleep(init_time);
    }
    if (!is_in_container()) co_return;
    // Ends the container, whatever its init thinks of it, and nothing beyond it.
    ::sync();
    if (::reboot(RB_POWER_OFF) != 0)
        log::error("vma.poweroff.failed", {}, "the kernel refuses to end the container");
}

}  // namespace qvd::vma
