#include "vma/hooks.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace qvd::vma {

namespace {

std::string_view parameter_of(HookPoint::Kind kind) {
    switch (kind) {
        case HookPoint::Kind::action:
            return "qvd.hook.on_action";
        case HookPoint::Kind::state:
            return "qvd.hook.on_state";
        case HookPoint::Kind::provisioning:
            return "qvd.hook.on_provisioning";
    }
    return "";
}

std::string environment_name(std::string_view parameter) {
    std::string name;
    for (const char c : parameter) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool is_digit = c >= '0' && c <= '9';
        if (c >= 'a' && c <= 'z')
            name += static_cast<char>(c - 'a' + 'A');
        else
            name += is_letter || is_digit ? c : '_';
    }
    return name;
}

}  // namespace

bool is_secret_parameter(std::string_view name) {
    static constexpr std::array<std::string_view, 7> signs{
        "password", "passwd", "secret", "token", "passphrase", "slave.key", "credential"};
    const std::string lower = text::lower(name);
    return std::ranges::any_of(
        signs, [&lower](std::string_view sign) { return lower.find(sign) != std::string::npos; });
}

std::vector<std::string> hook_arguments(const agent::Parameters& parameters) {
    std::vector<std::string> arguments;
    for (const auto& [name, value] : parameters) {
        if (is_secret_parameter(name)) continue;
        arguments.push_back(name);
        arguments.push_back(value);
    }
    return arguments;
}

std::vector<std::string> hook_environment(const agent::Parameters& parameters) {
    std::vector<std::string> environment = Command::default_environment();
    for (const auto& [name, value] : parameters)
        if (is_secret_parameter(name)) environment.push_back(environment_name(name) + "=" + value);
    return environment;
}

Task<Result<bool>> Hooks::run(const HookPoint& point, agent::Parameters& parameters,
                              agent::XState state) {
    agent::Parameters told = parameters;
    told["qvd.vm.session.state"] = agent::to_string(state);
    told[std::string(parameter_of(point.kind))] = point.word;
    auto program = run_program(point, told);
    QVD_CO_TRY(const bool ran, co_await std::move(program));
    agent::Parameters added;
    auto plugins =
        plugins_.call(static_cast<unsigned>(point.kind), point.number, point.word, told, added);
    QVD_CO_TRY(const bool taken, co_await std::move(plugins));
    for (auto& [name, value] : added) parameters[name] = value;
    co_return ran || taken;
}

Task<Result<bool>> Hooks::run_program(const HookPoint& point, const agent::Parameters& parameters) {
    const auto configured = settings_.hooks.find(point.key);
    if (configured == settings_.hooks.end()) co_return false;
    Command command;
    command.argv = hook_arguments(parameters);
    command.argv.insert(command.argv.begin(), configured->second);
    command.environment = hook_environment(parameters);
    command.output_file = settings_.log_folder + "/qvd-hooks.log";
    command.limit = settings_.hook_timeout;
    auto running = processes_.run(std::move(command));
    const Result<Outcome> outcome = co_await std::move(running);
    if (!outcome.ok())
        co_return Error{ErrorKind::unavailable, "vma.hook.failed",
                        std::string(point.key) + ": " + outcome.error().sentence()};
    if (outcome->out_of_time)
        co_return Error{ErrorKind::timeout, "vma.hook.timeout",
                        outcome->sentence(std::string(point.key) + " = " + configured->second)};
    if (!outcome->ok())
        co_return Error{ErrorKind::denied, "vma.hook.failed",
                        outcome->sentence(std::string(point.key) + " = " + configured->second)};
    co_return true;
}

void Hooks::announce(const HookPoint& point, agent::XState state) {
    announcements_.push_back({point, state});
    if (announcements_.size() == 1) loop_.start(run_announcements());
}

Task<void> Hooks::run_announcements() {
    while (!announcements_.empty()) {
        const Announcement& next = announcements_.front();
        agent::Parameters none;
        auto running = run(next.point, none, next.state);
        const Result<bool> done = co_await std::move(running);
        if (!done.ok())
            log::warn("vma.hook.failed", {{"hook", next.point.key}, {"code", done.error().code()}},
                      done.error().sentence());
        announcements_.pop_front();
    }
}

}  // namespace qvd::vma
