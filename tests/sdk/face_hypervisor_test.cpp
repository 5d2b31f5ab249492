#include "tests/sdk/fake_core.hpp"

#include <qvd/hypervisor_backend.hpp>
#include <qvd/vma_hook.hpp>

#include <doctest/doctest.h>

using namespace qvd::testing;
using qvd::sdk::Call;
using qvd::sdk::Vm;
using qvd::sdk::VmStatus;

namespace {

// Writes down what it is told.
class Diary : public qvd::HypervisorBackend {
public:
    static inline std::vector<std::string> lines;

    std::uint64_t capabilities() override { return QVD_CAN_PAUSE; }
    void collect(qvd::sdk::Texts keep, Call&) override {
        for (const std::string_view uuid : keep) lines.push_back("keep " + std::string(uuid));
    }
    std::vector<VmStatus> survey(Call&) override {
        VmStatus found;
        found.state = QVD_VM_RUNNING;
        found.uuid = "u-1";
        found.incarnation = 4;
        found.pid = 4711;
        return {found, found};
    }
    VmStatus start(const Vm& vm, Call& call) override {
        for (const qvd::sdk::Disk disk : vm.disks())
            lines.push_back("disk " + std::string(disk.path()) +
                            (disk.read_only() ? " read-only" : ""));
        for (const qvd::sdk::Nic nic : vm.nics())
            for (const qvd::sdk::Address address : nic.addresses())
                lines.push_back(std::string(nic.mac()) + " " + std::string(address.address()) +
                                "/" + std::to_string(address.prefix()));
        call.progress(50, "half way");
        VmStatus started;
        started.state = QVD_VM_STARTING;
        started.uuid = vm.uuid();
        started.incarnation = vm.incarnation();
        return started;
    }
    void stop(const Vm&, Call& call) override { given_up = call.id(); }
    void destroy_vm(const Vm&, Call&) override {
        throw qvd::sdk::Failure(QVD_UNAVAILABLE, "the keeper does not answer");
    }
    VmStatus state(const Vm&, Call&) override { return {}; }
    void remove_vm(const Vm&, Call&) override {}
    void pause(const Vm&, Call&) override {}
    void cancel(std::uint64_t call_id) override { given_up = call_id + 1000; }

    static inline std::uint64_t given_up = 0;
};

const qvd_hypervisor& table() {
    return *static_cast<const qvd_hypervisor*>(qvd::sdk::provides<Diary>().table);
}

struct Backend {
    FakeCore core;
    FakeCall call;
    void* self = nullptr;
    Backend() {
        Diary::lines.clear();
        REQUIRE(table().create(core.raw(), call.raw(), &self) == QVD_OK);
    }
    ~Backend() { table().destroy(self); }
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
};

class Greeter : public qvd::VmaHook {
public:
    void on_action(qvd::sdk::Action action, const qvd::sdk::Session& session, Call& call) override {
        if (action == qvd::sdk::Action::pre_connect)
            call.put("greeting", "hello " + std::string(session.user_name()));
        if (session.parameters().get("qvd.vm.user.name") == "mallory")
            throw qvd::sdk::Failure(QVD_DENIED, "not today");
    }
    qvd::sdk::Answer on_provisioning(qvd::sdk::Provision step, const qvd::sdk::Session&,
                                     Call&) override {
        return step == qvd::sdk::Provision::mount_home ? qvd::sdk::Answer::yes
                                                       : qvd::sdk::Answer::pass;
    }
};

}  // namespace

TEST_CASE("a backend is told disks and addresses, and hands back its status") {
    Backend backend;
    qvd_disk os{};
    os.size = sizeof os;
    os.flags = QVD_DISK_READ_ONLY;
    os.path = text("/images/debian.tar.zst");
    const std::vector<qvd_disk> disks = {os};
    const std::vector<qvd_address> addresses = {
        {sizeof(qvd_address), 24, text("10.3.15.7"), text("10.3.15.1")}};
    qvd_nic nic{};
    nic.size = sizeof nic;
    nic.mac = text("54:52:00:00:00:07");
    nic.addresses = array(addresses);
    const std::vector<qvd_nic> nics = {nic};
    qvd_vm vm{};
    vm.size = sizeof vm;
    vm.uuid = text("u-7");
    vm.incarnation = 3;
    vm.disks = array(disks);
    vm.nics = array(nics);

    qvd_vm_state state = QVD_VM_UNKNOWN;
    std::uint64_t incarnation = 0;
    backend.call.on_result = [&](qvd_kind kind, const void* record) {
        CHECK(kind == QVD_KIND_VM_STATUS);
        const auto* status = static_cast<const qvd_vm_status*>(record);
        state = status->state;
        incarnation = status->incarnation;
        CHECK(text(status->uuid) == "u-7");
    };
    CHECK(table().start(backend.self, &vm, backend.call.raw()) == QVD_OK);
    CHECK(state == QVD_VM_STARTING);
    CHECK(incarnation == 3);
    CHECK(Diary::lines == std::vector<std::string>{"disk /images/debian.tar.zst read-only",
                                                   "54:52:00:00:00:07 10.3.15.7/24"});
    CHECK(backend.call.steps == std::vector<std::pair<int, std::string>>{{50, "half way"}});
}

TEST_CASE("a survey hands back one status for each VM") {
    Backend backend;
    CHECK(table().survey(backend.self, backend.call.raw()) == QVD_OK);
    CHECK(backend.call.kinds == std::vector<qvd_kind>{QVD_KIND_VM_STATUS, QVD_KIND_VM_STATUS});
}

TEST_CASE("a failure of a backend keeps its status and sentence") {
    Backend backend;
    qvd_vm vm{};
    vm.size = sizeof vm;
    CHECK(table().destroy_vm(backend.self, &vm, backend.call.raw()) == QVD_UNAVAILABLE);
    CHECK(backend.call.sentence == "the keeper does not answer");
}

TEST_CASE("the uuids to keep reach collect, and a cancel its call") {
    Backend backend;
    const std::vector<qvd_str> uuids = {text("u-1"), text("u-2")};
    const qvd_array keep = array(uuids);
    CHECK(table().collect(backend.self, &keep, backend.call.raw()) == QVD_OK);
    CHECK(Diary::lines == std::vector<std::string>{"keep u-1", "keep u-2"});
    table().cancel(backend.self, 5);
    CHECK(Diary::given_up == 1005);
}

TEST_CASE("what a backend cannot do is null in its table") {
    CHECK(static_cast<bool>(table().pause));
    CHECK_FALSE(static_cast<bool>(table().unpause));
    CHECK_FALSE(static_cast<bool>(table().save));
    CHECK_FALSE(static_cast<bool>(table().restore));
    CHECK_FALSE(static_cast<bool>(table().checkpoint));
    CHECK_FALSE(static_cast<bool>(table().snapshot));
    CHECK_FALSE(static_cast<bool>(table().reset));
    CHECK_FALSE(static_cast<bool>(table().console));
    CHECK_FALSE(static_cast<bool>(table().prepare_image));
    Backend backend;
    CHECK(table().capabilities(backend.self) == QVD_CAN_PAUSE);
}

TEST_CASE("a VM that ended by itself is reported with uuid and incarnation") {
    static std::string told;
    qvd_vm_events_service events{};
    events.size = sizeof events;
    events.report = [](const qvd_core*, const qvd_vm_status* status) {
        told = text(status->uuid) + " " + std::to_string(status->incarnation) + " " +
               text(status->sentence);
    };
    FakeCore core;
    core.services[QVD_CORE_VM_EVENTS] = &events;
    VmStatus crashed;
    crashed.state = QVD_VM_CRASHED;
    crashed.uuid = "u-9";
    crashed.incarnation = 2;
    crashed.sentence = "the kernel ended it for want of memory";
    qvd::sdk::VmEvents(qvd::sdk::Core(core.raw())).report(crashed);
    CHECK(told == "u-9 2 the kernel ended it for want of memory");
}

TEST_CASE("a hook adds parameters, refuses an action, and takes over a provisioning step") {
    const auto& hook = *static_cast<const qvd_vma_hook*>(qvd::sdk::provides<Greeter>().table);
    FakeCore core;
    FakeCall call;
    void* self = nullptr;
    REQUIRE(hook.create(core.raw(), call.raw(), &self) == QVD_OK);
    qvd_session session{};
    session.size = sizeof session;
    session.user_name = text("anna");
    CHECK(hook.on_action(self, QVD_VMA_PRE_CONNECT, &session, call.raw()) == QVD_OK);
    CHECK(call.values.at("greeting") == "hello anna");
    CHECK(hook.on_provisioning(self, QVD_VMA_MOUNT_HOME, &session, call.raw()) == QVD_OK);
    CHECK(hook.on_provisioning(self, QVD_VMA_ADD_USER, &session, call.raw()) == QVD_DECLINED);
    CHECK(hook.on_provisioning(self, 99, &session, call.raw()) == QVD_DECLINED);

    const std::vector<qvd_property> parameters = {
        {sizeof(qvd_property), 0, text("qvd.vm.user.name"), text("mallory")}};
    session.parameters = array(parameters);
    CHECK(hook.on_action(self, QVD_VMA_CONNECT, &session, call.raw()) == QVD_DENIED);
    CHECK(call.sentence == "not today");
    CHECK_FALSE(static_cast<bool>(hook.on_state));
    hook.destroy(self);
}
