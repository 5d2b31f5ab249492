// Several hypervisors on one node: which plugin a VM's calls reach.
#include "hkd/plugin_backend.hpp"

#include "hkd/spawn.hpp"
#include "tests/plugin/room.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
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

TEST_CASE("where hkd.hypervisor.plugins names some, no VM of another calls; one that runs ends") {
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

namespace {

// Lets nobody go on before so many are there; false if they do not come.
class Meeting {
public:
    explicit Meeting(int all) : all_(all) {}
    bool join() {
        std::unique_lock lock(mutex_);
        ++there_;
        changed_.notify_all();
        return changed_.wait_for(lock, qvd::testing::patience, [this] { return there_ >= all_; });
    }

private:
    const int all_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int there_ = 0;
};

}  // namespace

TEST_CASE("as many short calls of a hypervisor run at once as the node says, whatever else hangs") {
    constexpr int calls = 20;
    Node node("vm.hypervisor = puppet-concurrent\n");
    REQUIRE(node.backend.load().ok());
    REQUIRE(node.backend.know("puppet").ok());
    node.room.host.set_calls_at_once(calls);
    qvd::testing::Signal released;
    const auto hang = [&released](qvd_call*) { return released.wait() ? QVD_OK : QVD_UNAVAILABLE; };
    node.puppets["puppet"].survey = hang;
    node.puppets["puppet-concurrent"].prepare_image = [hang](const qvd_image*, qvd_call* call) {
        return hang(call);
    };
    Meeting meeting(calls);
    node.puppets["puppet-concurrent"].vm = [&meeting](const std::string&, const qvd_vm*,
                                                      qvd_call*) {
        return meeting.join() ? QVD_OK : QVD_UNAVAILABLE;
    };
    int met = 0;
    int over = 0;
    const auto begin = [&node, &over](auto call, int* good) {
        const auto keep = [](decltype(call) asked, int* succeeded,
                             int* ended) -> boost::asio::awaitable<void> {
            const auto answer = co_await std::move(asked);
            if (answer.ok()) ++*succeeded;
            ++*ended;
        };
        spawn(node.room.loop.get_executor(), keep(std::move(call), good, &over), 0);
    };
    int ignored = 0;
    constexpr int others = 30;
    for (int i = 0; i < others; ++i) {
        ImagePlan image;
        image.hypervisor = "puppet-concurrent";
        Backend::Progress nobody = [](const std::string&) {};
        begin(node.backend.prepare_image(std::move(image), Deadline::in(node.clock, limit),
                                         std::move(nobody)),
              &ignored);
    }
    for (int i = 0; i < calls; ++i) {
        VmPlan plan = Node::plan_of("puppet-concurrent");
        plan.vm = VmId{i + 1};
        begin(node.backend.stop(std::move(plan), Deadline::in(node.clock, limit)), &met);
    }
    while (met < calls && over < calls) node.room.loop.run_one();
    CHECK(met == calls);
    released.set();
    while (over < calls + others) node.room.loop.run_one();
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
