// Several hypervisors on one node: which plugin a VM's calls reach.
#include "hkd/plugin_backend.hpp"

#include "tests/plugin/room.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace qvd::hkd {

using qvd::testing::Puppet;
using qvd::testing::Room;

namespace {

constexpr Milliseconds limit{10'000};

struct Node {
    explicit Node(const std::string& configuration) : room(configuration) {
        for (const char* name : {"puppet", "puppet-concurrent"}) {
            room.stage[name] = &puppets[name];
            puppets[name].vm = [this, name](const std::string& function, const qvd_vm*, qvd_call*) {
                calls.emplace_back(name, function);
                return QVD_OK;
            };
        }
    }
    Result<void> stop(const std::string& hypervisor) {
        VmPlan plan = plan_of(hypervisor);
        return room.run(backend.stop(std::move(plan), Deadline::in(clock, limit)));
    }
    Result<void> prepare(const std::string& hypervisor) {
        ImagePlan image;
        image.hypervisor = hypervisor;
        Backend::Progress nobody = [](const std::string&) {};
        return room.run(
            backend.prepare_image(std::move(image), Deadline::in(clock, limit), std::move(nobody)));
    }
    static VmPlan plan_of(const std::string& hypervisor) {
        VmPlan plan;
        plan.vm = VmId{7};
        plan.uuid = "9d4d5d0e-0000-4000-8000-000000000007";
        plan.hypervisor = hypervisor;
        return plan;
    }

    std::map<std::string, Puppet> puppets;
    Room room;
    SteadyClock clock;
    PluginBackend backend{room.host, room.registry};
    std::vector<std::pair<std::string, std::string>> calls;
};

}  // namespace

TEST_CASE("each VM's calls reach the plugin that it is of, loaded when it is needed") {
    Node node("vm.hypervisor = puppet\n");
    REQUIRE(node.backend.load().ok());
    CHECK(node.backend.names() == std::vector<std::string>{"puppet"});
    CHECK(node.stop("puppet").ok());
    CHECK(node.stop("puppet-concurrent").ok());
    CHECK(node.calls == std::vector<std::pair<std::string, std::string>>{
                            {"puppet", "stop"}, {"puppet-concurrent", "stop"}});
    CHECK(node.backend.names().size() == 2);
}

TEST_CASE("a hypervisor that is not installed is named, with what there is") {
    Node node("vm.hypervisor = puppet\n");
    const Result<void> prepared = node.prepare("nothing");
    CHECK(prepared.error().code() == "plugin.not_installed");
    CHECK(prepared.error().sentence().find("hypervisor \"nothing\" is not installed") == 0);
    CHECK(prepared.error().sentence().find("puppet-concurrent") != std::string::npos);
}

TEST_CASE("where hkd.hypervisor.plugins names some, no VM of another starts; one that runs ends") {
    Node node("vm.hypervisor = puppet\nhkd.hypervisor.plugins = puppet\n");
    REQUIRE(node.backend.load().ok());
    // It comes as far as the plugin, which knows no images.
    CHECK(node.prepare("puppet").error().code() == "backend.image");
    const Result<void> prepared = node.prepare("puppet-concurrent");
    CHECK(prepared.error().code() == "hypervisor.not_listed");
    CHECK(prepared.error().sentence() ==
          "its vm.hypervisor is puppet-concurrent, and this node runs only VMs of puppet "
          "(hkd.hypervisor.plugins)");
    CHECK(node.stop("puppet-concurrent").ok());
}

TEST_CASE("a hypervisor that cannot say what it runs is named among what the others say") {
    Node node("hkd.hypervisor.plugins = puppet, puppet-concurrent\n");
    REQUIRE(node.backend.load().ok());
    node.puppets["puppet"].survey = [](qvd_call* call) {
        call->fail(call, qvd_text("libvirtd does not answer"));
        return QVD_UNAVAILABLE;
    };
    node.puppets["puppet-concurrent"].survey = [](qvd_call* call) {
        qvd_vm_status status{};
        status.size = sizeof status;
        status.state = QVD_VM_RUNNING;
        status.vm_id = 8;
        status.uuid = qvd_text("9d4d5d0e-0000-4000-8000-000000000008");
        call->result(call, QVD_KIND_VM_STATUS, &status);
        return QVD_OK;
    };
    const auto survey = node.room.run(node.backend.survey());
    REQUIRE(survey.ok());
    REQUIRE(survey->found.size() == 1);
    CHECK(survey->found[0].hypervisor == "puppet-concurrent");
    REQUIRE(survey->silent.size() == 1);
    CHECK(survey->silent.at("puppet").sentence().find("libvirtd does not answer") !=
          std::string::npos);
}

TEST_CASE("a hypervisor that hangs is waited for a little at first, and longer each time") {
    Node node("vm.hypervisor = puppet\n");
    REQUIRE(node.backend.load().ok());
    std::vector<std::int64_t> seconds;
    qvd_status answer = QVD_UNAVAILABLE;
    node.puppets["puppet"].survey = [&](qvd_call* call) {
        seconds.push_back((call->remaining_ms(call) + 500) / 1000);
        return answer;
    };
    bool collected = false;
    node.puppets["puppet"].collect = [&collected](const qvd_array*, qvd_call*) {
        collected = true;
        return QVD_OK;
    };
    CHECK(node.room.run(node.backend.collect({})).ok());
    CHECK_FALSE(collected);
    for (int i = 0; i < 3; ++i) CHECK(node.room.run(node.backend.survey()).ok());
    answer = QVD_OK;
    CHECK(node.room.run(node.backend.collect({})).ok());
    CHECK(collected);
    answer = QVD_UNAVAILABLE;
    CHECK(node.room.run(node.backend.survey()).ok());
    CHECK(seconds == std::vector<std::int64_t>{10, 20, 40, 60, 60, 60});
}

}  // namespace qvd::hkd
