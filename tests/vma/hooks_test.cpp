#include "vma/hooks.hpp"

#include "base/log.hpp"
#include "tests/vma/workshop.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>

using namespace qvd;
using namespace qvd::vma;
using testing::Workshop;

namespace {

struct Place : Workshop {
    config::Properties file;
    HookPlugins plugins{loop, settings, file};
    Hooks hooks{loop, processes, settings, plugins};

    void hook(const char* key, std::string_view body) {
        settings.hooks[key] = folder.write("hook", "#!/bin/sh\n" + std::string(body) + "\n", 0755);
    }
};

}  // namespace

TEST_CASE("a hook gets names and values in turn, and no secret among them") {
    const agent::Parameters parameters{{"custom.a", "1"},
                                       {"qvd.auth.password", "hunter2"},
                                       {"qvd.slave.key", "k"},
                                       {"qvd.vm.user.name", "ana"},
                                       {"vm.API_Token", "t"}};
    CHECK(hook_arguments(parameters) ==
          std::vector<std::string>{"custom.a", "1", "qvd.vm.user.name", "ana"});
    const auto environment = hook_environment(parameters);
    for (const char* variable : {"QVD_AUTH_PASSWORD=hunter2", "QVD_SLAVE_KEY=k", "VM_API_TOKEN=t"})
        CHECK(std::ranges::find(environment, variable) != environment.end());
}

TEST_CASE("a hook is told action and state, and its output goes to the hooks' log") {
    Place place;
    place.hook("vma.on_action.pre-connect", "echo \"$@\"");
    agent::Parameters parameters{{"custom.a", "with blank"}};
    const auto ran =
        place.finish(place.hooks.run(hook::pre_connect, parameters, agent::XState::stopped));
    CHECK(ran.value());
    CHECK(place.folder.read("log/qvd-hooks.log") ==
          "custom.a with blank qvd.hook.on_action pre_connect qvd.vm.session.state stopped\n");
    CHECK_FALSE(parameters.contains("qvd.hook.on_action"));
}

TEST_CASE("without a hook there is nothing to run and nothing to fail") {
    Place place;
    agent::Parameters parameters;
    CHECK_FALSE(
        place.finish(place.hooks.run(hook::stop, parameters, agent::XState::connected)).value());
}

TEST_CASE("a hook that fails stops the action, and the sentence says which and how") {
    Place place;
    place.hook("vma.on_action.connect", "exit 7");
    agent::Parameters parameters;
    const auto ran =
        place.finish(place.hooks.run(hook::connect, parameters, agent::XState::provisioning));
    CHECK(ran.error().code() == "vma.hook.failed");
    CHECK(ran.error().sentence().find("vma.on_action.connect") != std::string::npos);
    CHECK(ran.error().sentence().find("status 7") != std::string::npos);
}

TEST_CASE("a hook that is not there stops the action, too") {
    Place place;
    place.settings.hooks["vma.on_action.stop"] = place.folder.at("missing");
    agent::Parameters parameters;
    const auto ran =
        place.finish(place.hooks.run(hook::stop, parameters, agent::XState::connected));
    CHECK(ran.error().code() == "vma.hook.failed");
    CHECK(ran.error().sentence().find("No such file") != std::string::npos);
}

TEST_CASE("a hook that takes too long is killed with what it started") {
    Place place;
    place.settings.hook_timeout = Milliseconds{300};
    place.hook("vma.on_action.expire",
               "sleep 1000 & echo $! > " + place.folder.at("pid") + "; wait");
    agent::Parameters parameters;
    const auto ran =
        place.finish(place.hooks.run(hook::expire, parameters, agent::XState::connected));
    CHECK(ran.error().code() == "vma.hook.timeout");
    const auto pid = static_cast<pid_t>(std::stol(place.folder.read("pid")));
    // Its init reaps it in its own time.
    CHECK(place.until([pid] {
        return ::kill(pid, 0) != 0 ||
               file::read("/proc/" + std::to_string(pid) + "/stat").value_or(") Z").find(") Z") !=
                   std::string::npos;
    }));
}

TEST_CASE("state hooks run on their own, and their failure is only logged") {
    Place place;
    const log::Capture captured;
    place.hook("vma.on_state.disconnected", "echo $2 > " + place.folder.at("said") + "; exit 1");
    place.hooks.announce(hook::stopped, agent::XState::stopped);
    CHECK(place.until([&] { return captured.contains("vma.hook.failed"); }));
    CHECK(place.folder.read("said") == "stopped\n");
}

TEST_CASE("what is announced is told in the order in which it happened") {
    Place place;
    place.settings.hooks["vma.on_action.suspend"] = place.folder.write(
        "slow", "#!/bin/sh\nsleep 0.2; echo suspend >> " + place.folder.at("said") + "\n", 0755);
    place.hook("vma.on_state.suspended", "echo suspended >> " + place.folder.at("said"));
    place.hooks.announce(hook::suspend, agent::XState::suspending);
    place.hooks.announce(hook::suspended, agent::XState::suspended);
    CHECK(place.until([&] { return place.folder.read("said") == "suspend\nsuspended\n"; }));
}
