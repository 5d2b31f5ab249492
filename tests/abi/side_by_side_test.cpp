// Three builds of one plugin in one process: by gcc with libstdc++, by clang with libc++, and in C.
#include "tests/sdk/fake_core.hpp"

#include <qvd/load_balancer.h>

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <thread>

using namespace qvd::testing;

namespace {

struct Loaded {
    const char* build;
    const qvd_plugin* manifest;
    const qvd_load_balancer* balancer;
};

// Code is never unmapped, as in the core.
Loaded load(const char* build, const char* path) {
    void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) FAIL(std::string(::dlerror()));
    using Entry = const qvd_plugin*();
    auto* entry = reinterpret_cast<Entry*>(::dlsym(library, "qvd_plugin_v1"));
    REQUIRE(static_cast<bool>(entry));
    const qvd_plugin* manifest = entry();
    REQUIRE(manifest->interfaces.count == 1);
    const auto* first = static_cast<const qvd_interface*>(qvd_array_at(&manifest->interfaces, 0));
    CHECK(std::string_view(first->id) == QVD_LOAD_BALANCER);
    return {build, manifest, static_cast<const qvd_load_balancer*>(first->table)};
}

const std::vector<Loaded>& all_builds() {
    static const std::vector<Loaded> builds = {load("gcc", QVD_TEST_ROOMY_GCC),
                                               load("clang/libc++", QVD_TEST_ROOMY_CLANG),
                                               load("C", QVD_TEST_ROOMY_C)};
    return builds;
}

// An instance of each build, alive at the same time as the others.
struct Instance {
    explicit Instance(const Loaded& loaded) : plugin(loaded) {
        core.config["greeting"] = std::string("good morning from ") + loaded.build;
        REQUIRE(plugin.balancer->create(core.raw(), call.raw(), &self) == QVD_OK);
    }
    ~Instance() { plugin.balancer->destroy(self); }
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    qvd_status choose(const std::vector<double>& free_memory, const char* wish = nullptr) {
        std::vector<qvd_node> nodes(free_memory.size());
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            nodes[i].size = sizeof(qvd_node);
            nodes[i].free_memory_mib = free_memory[i];
        }
        std::vector<qvd_property> properties;
        if (wish != nullptr)
            properties.push_back({sizeof(qvd_property), 0, text("fail"), text(wish)});
        qvd_placement placement{};
        placement.size = sizeof placement;
        placement.nodes = array(nodes);
        placement.vm_properties = array(properties);
        call.on_result = [this](qvd_kind, const void* record) {
            chosen = static_cast<const qvd_choice*>(record)->index;
        };
        return plugin.balancer->choose(self, &placement, call.raw());
    }

    const Loaded& plugin;
    FakeCore core;
    FakeCall call;
    void* self = nullptr;
    std::uint64_t chosen = 99;
};

std::vector<std::unique_ptr<Instance>> one_of_each() {
    std::vector<std::unique_ptr<Instance>> instances;
    for (const Loaded& loaded : all_builds())
        instances.push_back(std::make_unique<Instance>(loaded));
    return instances;
}

}  // namespace

TEST_CASE("three builds of one plugin are three libraries with the same manifest") {
    const auto& builds = all_builds();
    CHECK(builds[0].manifest != builds[1].manifest);
    CHECK(builds[1].manifest != builds[2].manifest);
    for (const Loaded& loaded : builds) {
        CAPTURE(loaded.build);
        CHECK(std::string_view(loaded.manifest->name) == "roomy");
        CHECK(loaded.manifest->size == sizeof(qvd_plugin));
        CHECK(loaded.manifest->draft == QVD_ABI_DRAFT);
        REQUIRE(loaded.manifest->keys.count == 1);
        const auto* key =
            static_cast<const qvd_config_key*>(qvd_array_at(&loaded.manifest->keys, 0));
        CHECK(std::string_view(key->name) == "greeting");
        CHECK(std::string_view(key->default_value) == "hello");
    }
}

TEST_CASE("each build logs what its own core configured") {
    for (const auto& instance : one_of_each()) {
        REQUIRE(instance->core.lines.size() == 1);
        CHECK(instance->core.lines[0].second ==
              std::string("good morning from ") + instance->plugin.build);
    }
}

TEST_CASE("called in turn, all builds answer alike, and each failure stays in its own library") {
    const auto instances = one_of_each();
    for (int round = 0; round < 100; ++round) {
        for (const auto& instance : instances) {
            CAPTURE(instance->plugin.build);
            REQUIRE(instance->choose({10, 30, 20}) == QVD_OK);
            REQUIRE(instance->chosen == 1);
            REQUIRE(instance->choose({10, 30, 20}, "rain") == QVD_UNAVAILABLE);
            REQUIRE(instance->call.sentence == "as you wish: rain");
        }
    }
}

TEST_CASE("called at once on threads of their own, all builds keep their own thread state") {
    const auto instances = one_of_each();
    std::vector<std::thread> threads;
    threads.reserve(instances.size());
    for (const auto& instance : instances) {
        threads.emplace_back([&instance] {
            for (int round = 0; round < 1000; ++round) instance->choose({1, 2}, "thunder");
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& instance : instances) CHECK(instance->call.values.at("calls") == "1000");
}
