#include "tests/sdk/fake_core.hpp"

#include <qvd/load_balancer.hpp>

#include <doctest/doctest.h>

#include <cstddef>

using namespace qvd::testing;
using qvd::sdk::Call;
using qvd::sdk::Failure;
using qvd::sdk::Placement;

namespace {

// Answers what the test wants to see cross the line.
class Scripted : public qvd::LoadBalancer {
public:
    static inline std::function<std::optional<std::size_t>(const Placement&, Call&)> script;
    std::optional<std::size_t> choose(const Placement& placement, Call& call) override {
        return script(placement, call);
    }
};

// Overrides everything, and says that it may be called several times at once.
struct Whole : Scripted {
    void init(const qvd::sdk::Snapshot&, Call&) override {}
    void cancel(std::uint64_t) override {}
    static constexpr qvd_threading threading = QVD_CONCURRENT;
};

const qvd_load_balancer& table() {
    return *static_cast<const qvd_load_balancer*>(qvd::sdk::provides<Scripted>().table);
}

struct Instance {
    FakeCore core;
    FakeCall call;
    void* self = nullptr;
    Instance() { REQUIRE(table().create(core.raw(), call.raw(), &self) == QVD_OK); }
    ~Instance() { table().destroy(self); }
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    qvd_status choose(const qvd_placement& placement) {
        return table().choose(self, &placement, call.raw());
    }
};

qvd_node node(std::uint64_t id, const char* name, double free_memory_mib) {
    qvd_node made{};
    made.size = sizeof made;
    made.id = id;
    made.name = text(name);
    made.free_memory_mib = free_memory_mib;
    made.load_age_ms = -1;
    return made;
}

qvd_placement placement_over(const qvd_array& nodes) {
    qvd_placement placement{};
    placement.size = sizeof placement;
    placement.nodes = nodes;
    return placement;
}

const std::vector<qvd_node> two_nodes = {node(7, "alpha", 100), node(9, "beta", 300)};

}  // namespace

TEST_CASE("a chosen index reaches the core as a typed result") {
    Instance it;
    Scripted::script = [](const Placement& p, Call&) { return p.nodes().size() - 1; };
    std::uint64_t index = 99;
    it.call.on_result = [&](qvd_kind kind, const void* record) {
        CHECK(kind == QVD_KIND_CHOICE);
        index = static_cast<const qvd_choice*>(record)->index;
    };
    CHECK(it.choose(placement_over(array(two_nodes))) == QVD_OK);
    CHECK(index == 1);
}

TEST_CASE("choosing no node says that none will do") {
    Instance it;
    Scripted::script = [](const Placement&, Call&) { return std::nullopt; };
    CHECK(it.choose(placement_over(array(two_nodes))) == QVD_UNAVAILABLE);
    CHECK(it.call.sentence == "none of the nodes will do");
    CHECK(it.call.kinds.empty());
}

TEST_CASE("what a plugin throws becomes a status and a sentence") {
    Instance it;
    SUBCASE("a Failure keeps its own status") {
        Scripted::script = [](const Placement&, Call&) -> std::optional<std::size_t> {
            throw Failure(QVD_TIMEOUT, "no answer from the oracle");
        };
        CHECK(it.choose(placement_over(array(two_nodes))) == QVD_TIMEOUT);
        CHECK(it.call.sentence == "no answer from the oracle");
    }
    SUBCASE("any other exception is a bug in the plugin") {
        Scripted::script = [](const Placement&, Call&) -> std::optional<std::size_t> {
            throw std::out_of_range("at()");
        };
        CHECK(it.choose(placement_over(array(two_nodes))) == QVD_INTERNAL);
        CHECK(it.call.sentence == "at()");
    }
    SUBCASE("even one that is no std::exception") {
        Scripted::script = [](const Placement&, Call&) -> std::optional<std::size_t> { throw 5; };
        CHECK(it.choose(placement_over(array(two_nodes))) == QVD_INTERNAL);
        CHECK(it.call.sentence == "an exception of an unknown type");
    }
}

TEST_CASE("nodes are found although the core's struct has grown since the plugin was built") {
    struct TomorrowsNode : qvd_node {
        double temperature = 40;
    };
    std::vector<TomorrowsNode> nodes(2);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        static_cast<qvd_node&>(nodes[i]) = two_nodes[i];
        nodes[i].size = sizeof(TomorrowsNode);
    }
    Instance it;
    std::string names;
    Scripted::script = [&](const Placement& p, Call&) {
        for (const qvd::sdk::Node n : p.nodes()) names += std::string(n.name()) + " ";
        return 0;
    };
    CHECK(it.choose(placement_over(array(nodes))) == QVD_OK);
    CHECK(names == "alpha beta ");
}

TEST_CASE("a field that the other side was built without counts as missing") {
    qvd_node old = two_nodes[0];
    CHECK(QVD_HAS(qvd_node, &old, properties));
    old.size = offsetof(qvd_node, cpu_mhz);
    CHECK(QVD_HAS(qvd_node, &old, idle_cpu));
    CHECK_FALSE(QVD_HAS(qvd_node, &old, cpu_mhz));
    old.size += sizeof(double) - 1;  // half a field is none
    CHECK_FALSE(QVD_HAS(qvd_node, &old, cpu_mhz));
}

TEST_CASE("a node shows what it reported and whether it ever did") {
    qvd_node fresh = node(1, "n", 12.5);
    fresh.load_age_ms = 3000;
    fresh.flags = QVD_NODE_RUNNING;
    const std::vector<qvd_property> properties = {
        {sizeof(qvd_property), 0, text("rack"), text("b4")}};
    fresh.properties = array(properties);
    CHECK(qvd::sdk::Node(&fresh).load_age() == std::chrono::seconds(3));
    CHECK(qvd::sdk::Node(two_nodes.data()).load_age() == std::nullopt);
    CHECK(qvd::sdk::Node(&fresh).running());
    CHECK_FALSE(qvd::sdk::Node(&fresh).blocked());
    CHECK(qvd::sdk::Node(&fresh).properties().get("rack") == "b4");
    CHECK(qvd::sdk::Node(&fresh).properties().get("row", "none") == "none");
    CHECK(qvd::sdk::Node(&fresh).properties().find("row") == std::nullopt);
}

TEST_CASE("a deferred call is pending, and ends once by its Pending") {
    Instance it;
    std::optional<qvd::sdk::Pending> pending;
    Scripted::script = [&](const Placement&, Call& call) {
        pending.emplace(call.defer());
        return std::nullopt;
    };
    CHECK(it.choose(placement_over(array(two_nodes))) == QVD_PENDING);
    CHECK(it.call.completions == 0);

    SUBCASE("completed") {
        qvd::sdk::choose_node(*pending, 1);
        pending->complete();
        pending.reset();
        CHECK(it.call.completed == QVD_OK);
        CHECK(it.call.kinds == std::vector<qvd_kind>{QVD_KIND_CHOICE});
    }
    SUBCASE("failed with a sentence") {
        pending->fail(QVD_CANCELLED, "given up");
        pending.reset();
        CHECK(it.call.completed == QVD_CANCELLED);
        CHECK(it.call.sentence == "given up");
    }
    SUBCASE("forgotten, it fails as a bug of the plugin") {
        pending.reset();
        CHECK(it.call.completed == QVD_INTERNAL);
    }
    CHECK(it.call.completions == 1);
}

TEST_CASE("an exception after deferring leaves the call to its Pending") {
    Instance it;
    Scripted::script = [](const Placement&, Call& call) -> std::optional<std::size_t> {
        const qvd::sdk::Pending pending = call.defer();
        throw std::runtime_error("too late");
    };
    CHECK(it.choose(placement_over(array(two_nodes))) == QVD_PENDING);
    CHECK(it.call.completed == QVD_INTERNAL);
    CHECK(it.call.completions == 1);
    CHECK(it.call.sentence == "the plugin forgot to complete this call");
}

TEST_CASE("functions that a class does not override are null in its table") {
    CHECK_FALSE(static_cast<bool>(table().init));
    CHECK_FALSE(static_cast<bool>(table().cancel));

    const auto& whole = *static_cast<const qvd_load_balancer*>(qvd::sdk::provides<Whole>().table);
    CHECK(static_cast<bool>(whole.init));
    CHECK(static_cast<bool>(whole.cancel));
    CHECK(whole.threading == QVD_CONCURRENT);
    CHECK(table().threading == QVD_SERIAL);
}

TEST_CASE("a constructor that throws fails create and makes no instance") {
    struct Broken : Scripted {
        explicit Broken(const qvd::sdk::Core& core) {
            throw Failure(QVD_INVALID, "bad " + std::string(core.config("weight")));
        }
    };
    const auto& broken = *static_cast<const qvd_load_balancer*>(qvd::sdk::provides<Broken>().table);
    FakeCore core;
    core.config["weight"] = "-1";
    FakeCall call;
    void* self = &call;
    CHECK(broken.create(core.raw(), call.raw(), &self) == QVD_INVALID);
    CHECK(call.sentence == "bad -1");
    CHECK(self == &call);
}

TEST_CASE("an undeclared configuration key is the plugin's own bug, by name") {
    FakeCore core;
    CHECK_THROWS_WITH_AS(static_cast<void>(qvd::sdk::Core(core.raw()).config("l7r.x")),
                         "this plugin does not declare the configuration key l7r.x", Failure);
}
