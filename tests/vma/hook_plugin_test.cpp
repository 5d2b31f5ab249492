// VmaHook plugins, loaded for real.
#include "base/log.hpp"
#include "tests/vma/workshop.hpp"
#include "vma/hook_host.hpp"
#include "vma/hooks.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace qvd;
using namespace qvd::vma;
using testing::Workshop;

namespace {

struct Place : Workshop {
    config::Properties file;
    HookPlugins plugins{loop, settings, file};
    Hooks hooks{loop, processes, settings, plugins};

    Place() {
        std::filesystem::copy(QVD_TEST_PLUGIN, folder.at("plugins/qvd-noticing.so"));
        settings.hook_plugins = {"noticing"};
    }

    Result<bool> run(const HookPoint& point, agent::Parameters& parameters) {
        return finish(hooks.run(point, parameters, agent::XState::stopped));
    }
};

}  // namespace

TEST_CASE("packets between agent and plugin carry any text") {
    const Packet packet{{"p.a=b", "x\ny=\xff"}, {"", ""}, {"id", "1"}};
    CHECK(decode_packet(encode_packet(packet)) == packet);
}

TEST_CASE("a plugin takes part in an action, knows the session, and adds parameters") {
    Place place;
    const log::Capture captured;
    REQUIRE(place.plugins.load().ok());
    place.hooks.set_subject(7, "ana", "/home/ana");
    agent::Parameters parameters{{"custom.wish", "hello"}};
    CHECK(place.run(hook::pre_connect, parameters).value());
    CHECK(parameters["noticed"] == "pre_connect by ana at /home/ana: hello, greeting good day");
    CHECK(captured.contains("plugin=noticing"));
}

TEST_CASE("each of the twelve events reaches executable and plugin by its own name") {
    struct Event {
        HookPoint point;
        std::string_view key;      // of the executable
        std::string_view heard;    // by the executable
        std::string_view noticed;  // by the plugin: the header's name, and qvd_session.event
    };
    static constexpr std::array<Event, 12> events{{
        {hook::pre_connect, "vma.on_action.pre-connect", "on_action pre_connect",
         "action pre_connect (pre_connect)"},
        {hook::connect, "vma.on_action.connect", "on_action connect", "action connect (connect)"},
        {hook::suspend, "vma.on_action.suspend", "on_action suspend", "action suspend (suspend)"},
        {hook::stop, "vma.on_action.stop", "on_action stop", "action stop (stop)"},
        {hook::poweroff, "vma.on_action.poweroff", "on_action poweroff",
         "action poweroff (poweroff)"},
        {hook::expire, "vma.on_action.expire", "on_action expire", "action expire (expire)"},
        {hook::connected, "vma.on_state.connected", "on_state connected",
         "state connected (connected)"},
        {hook::suspended, "vma.on_state.suspended", "on_state suspended",
         "state suspended (suspended)"},
        {hook::stopped, "vma.on_state.disconnected", "on_state stopped",
         "state disconnected (stopped)"},
        {hook::mount_home, "vma.on_provisioning.mount_home", "on_provisioning mount_home",
         "provisioning mount_home (mount_home)"},
        {hook::add_user, "vma.on_provisioning.add_user", "on_provisioning add_user",
         "provisioning add_user (add_user)"},
        {hook::after_add_user, "vma.on_provisioning.after_add_user",
         "on_provisioning after_add_user", "provisioning after_add_user (after_add_user)"},
    }};
    for (const Event& event : events) {
        Place place;
        place.settings.hooks[std::string(event.key)] = place.folder.write(
            "hook", "#!/bin/sh\necho ${1#qvd.hook.} $2 >> " + place.folder.at("heard") + "\n",
            0755);
        place.file.set("noticing.file", place.folder.at("noticed"), "vma.conf:1");
        REQUIRE(place.plugins.load().ok());
        place.hooks.set_subject(7, "ana", "/home/ana");
        agent::Parameters parameters;
        CHECK(place.run(event.point, parameters).value());
        CHECK(place.folder.read("heard") == std::string(event.heard) + "\n");
        CHECK(place.folder.read("noticed") == std::string(event.noticed) + " vm=7 user=ana\n");
    }
}

TEST_CASE("a plugin reads its keys of vma.conf, checked against what it declares") {
    Place place;
    place.file.set("noticing.greeting", "hi", "vma.conf:1");
    REQUIRE(place.plugins.load().ok());
    agent::Parameters parameters;
    CHECK(place.run(hook::pre_connect, parameters).ok());
    CHECK(parameters["noticed"].ends_with("greeting hi"));
    place.file.set("noticing.count", "many", "vma.conf:2");
    HookPlugins others(place.loop, place.settings, place.file);
    CHECK(others.load().error().code() == "plugin.load");
}

TEST_CASE("a plugin that refuses stops the action with its sentence") {
    Place place;
    REQUIRE(place.plugins.load().ok());
    agent::Parameters parameters{{"custom.wish", "refuse"}};
    const auto ran = place.run(hook::pre_connect, parameters);
    CHECK(ran.error().code() == "vma.hook.failed");
    CHECK(ran.error().sentence() == "plugin noticing: not today");
}

TEST_CASE("a plugin that is not interested leaves the agent to its own ways") {
    Place place;
    REQUIRE(place.plugins.load().ok());
    agent::Parameters parameters;
    CHECK_FALSE(place.run(hook::stop, parameters).value());
    CHECK(place.run(hook::mount_home, parameters).value());
    CHECK_FALSE(place.run(hook::add_user, parameters).value());
}

TEST_CASE("an answer may come later, from a timer's thread") {
    Place place;
    REQUIRE(place.plugins.load().ok());
    agent::Parameters parameters{{"custom.wish", "later"}};
    CHECK(place.run(hook::pre_connect, parameters).value());
    CHECK(parameters["noticed"] == "later");
}

TEST_CASE("a plugin that crashes costs one hook, and the next one works again") {
    Place place;
    REQUIRE(place.plugins.load().ok());
    agent::Parameters fatal{{"custom.wish", "crash"}};
    CHECK(place.run(hook::pre_connect, fatal).error().code() == "vma.hook.failed");
    agent::Parameters harmless;
    CHECK(place.run(hook::pre_connect, harmless).value());
}

TEST_CASE("a plugin that is slow to start again keeps nobody else waiting") {
    Place place;
    REQUIRE(place.plugins.load().ok());
    agent::Parameters fatal{{"custom.wish", "crash"}};
    CHECK_FALSE(place.run(hook::pre_connect, fatal).ok());
    place.file.set("noticing.greeting", "slow", "vma.conf:1");
    const auto begin = std::chrono::steady_clock::now();
    std::optional<Milliseconds> served;
    place.loop.after(Milliseconds{100}, [&] {
        served = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
    });
    agent::Parameters harmless;
    CHECK(place.run(hook::pre_connect, harmless).value());
    CHECK(harmless["noticed"].ends_with("greeting slow"));
    REQUIRE(served.has_value());
    CHECK(*served < Milliseconds{1'500});
}

TEST_CASE("a plugin that cannot start again says why") {
    Place place;
    REQUIRE(place.plugins.load().ok());
    agent::Parameters fatal{{"custom.wish", "crash"}};
    CHECK_FALSE(place.run(hook::pre_connect, fatal).ok());
    place.file.set("noticing.count", "many", "vma.conf:2");
    agent::Parameters harmless;
    const auto ran = place.run(hook::pre_connect, harmless);
    REQUIRE_FALSE(ran.ok());
    CHECK(ran.error().sentence().find("noticing.count") != std::string::npos);
}

TEST_CASE("a plugin that hangs is killed when its time is up") {
    Place place;
    place.settings.hook_timeout = Milliseconds{300};
    REQUIRE(place.plugins.load().ok());
    agent::Parameters hanging{{"custom.wish", "hang"}};
    CHECK(place.run(hook::pre_connect, hanging).error().code() == "vma.hook.timeout");
    agent::Parameters harmless;
    CHECK(place.run(hook::pre_connect, harmless).value());
}

TEST_CASE("a plugin that cannot be trusted or loaded is refused with its file's name") {
    Place place;
    const std::string path = place.folder.at("plugins/qvd-noticing.so");
    const auto refused = [&](std::string_view part) {
        const auto loaded = place.plugins.load();
        CHECK(loaded.error().code() == "plugin.load");
        CHECK_MESSAGE(loaded.error().sentence().find(part) != std::string::npos,
                      loaded.error().sentence());
        CHECK(loaded.error().sentence().find("/qvd-") != std::string::npos);
    };
    std::filesystem::permissions(path, std::filesystem::perms(0777));
    refused("writable");
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    std::filesystem::copy(path, place.folder.at("plugins/qvd-other.so"));
    place.settings.hook_plugins = {"other"};
    refused("another name");
    place.settings.hook_plugins = {"missing"};
    refused("no such file");
    place.folder.write("plugins/qvd-text.so", "no library");
    place.settings.hook_plugins = {"text"};
    refused("");
}
