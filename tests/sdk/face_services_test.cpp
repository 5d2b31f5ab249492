#include "tests/sdk/fake_core.hpp"

#include <qvd/services.hpp>

#include <doctest/doctest.h>

using namespace qvd::testing;
using qvd::sdk::Core;
using qvd::sdk::Failure;
using qvd::sdk::SecretView;

namespace {

// A farm with one user, anna, whose password is "opensesame" and who has VM 3.
void record_anna(const qvd_sink* sink) {
    qvd_user anna{};
    anna.size = sizeof anna;
    anna.id = 42;
    anna.login = text("anna");
    sink->record(sink->data, QVD_KIND_USER, &anna);
}

void record_vm(const qvd_sink* sink, const char* name) {
    static const std::vector<qvd_property> properties = {
        {sizeof(qvd_property), 0, text("colour"), text("green")}};
    qvd_vm_entry vm{};
    vm.size = sizeof vm;
    vm.id = 3;
    vm.name = text(name);
    vm.properties = array(properties);
    sink->record(sink->data, QVD_KIND_VM_ENTRY, &vm);
}

qvd_status refuse(const qvd_sink* sink, qvd_status status, const char* sentence) {
    sink->fail(sink->data, text(sentence));
    return status;
}

qvd_provisioning_service provisioning() {
    qvd_provisioning_service table{};
    table.size = sizeof table;
    table.find_user = [](const qvd_core*, const qvd_call*, qvd_str login, const qvd_sink* sink) {
        if (text(login) != "anna") return refuse(sink, QVD_NOT_FOUND, "no such user");
        record_anna(sink);
        return static_cast<qvd_status>(QVD_OK);
    };
    table.ensure_user = [](const qvd_core*, const qvd_call*, qvd_str, const qvd_sink* sink) {
        return refuse(sink, QVD_UNAVAILABLE, "the database does not answer");
    };
    table.list_vms = [](const qvd_core*, const qvd_call*, std::uint64_t, std::uint64_t,
                        const qvd_sink* sink) {
        record_anna(sink);  // not asked for: must be ignored
        record_vm(sink, "desk");
        record_vm(sink, "second");
        return static_cast<qvd_status>(QVD_OK);
    };
    table.create_vm = [](const qvd_core*, const qvd_call*, const qvd_vm_order* order,
                         const qvd_sink* sink) {
        if (text(order->name) == "desk") return refuse(sink, QVD_CONFLICT, "the name is taken");
        record_vm(sink, order->name.data);
        return static_cast<qvd_status>(QVD_OK);
    };
    return table;
}

}  // namespace

TEST_CASE("a service that the core lacks is named when the class is made") {
    FakeCore core;
    CHECK_THROWS_WITH_AS(qvd::sdk::Inventory(Core(core.raw())),
                         "this core has no service qvd.draft.core.inventory/1", Failure);
}

TEST_CASE("users and VMs are copied out of the sink") {
    const qvd_provisioning_service table = provisioning();
    FakeCore core;
    core.services[QVD_CORE_PROVISIONING] = &table;
    const qvd::sdk::Provisioning farm{Core(core.raw())};

    CHECK(farm.find_user(nullptr, "anna").value().id == 42);
    CHECK_FALSE(farm.find_user(nullptr, "bert").has_value());
    CHECK_THROWS_WITH_AS(farm.ensure_user(nullptr, "bert"), "the database does not answer",
                         Failure);
    const auto vms = farm.list_vms(nullptr, 42);
    REQUIRE(vms.size() == 2);
    CHECK(vms[1].name == "second");
    CHECK(vms[0].properties.at(0).second == "green");
    CHECK_FALSE(farm.create_vm(nullptr, 42, 1, "desk").has_value());
    CHECK(farm.create_vm(nullptr, 42, 1, "desk-2").value().name == "desk-2");
}

TEST_CASE("a password is right, wrong, or cannot be told") {
    qvd_accounts_service table{};
    table.size = sizeof table;
    table.verify_password = [](const qvd_core*, const qvd_call*, qvd_str login, qvd_secret password,
                               const qvd_sink* sink) {
        if (text(login) == "down") return refuse(sink, QVD_UNAVAILABLE, "no database");
        if (text(login) != "anna") return static_cast<qvd_status>(QVD_NOT_FOUND);
        if (std::string(password.data, password.length) != "opensesame")
            return static_cast<qvd_status>(QVD_DECLINED);
        record_anna(sink);
        return static_cast<qvd_status>(QVD_OK);
    };
    FakeCore core;
    core.services[QVD_CORE_ACCOUNTS] = &table;
    const qvd::sdk::Accounts accounts{Core(core.raw())};
    auto verify = [&](std::string_view login, std::string_view password) {
        return accounts.verify_password(nullptr, login, SecretView::of(password));
    };
    CHECK(verify("anna", "opensesame").value().login == "anna");
    CHECK_FALSE(verify("anna", "wrong").has_value());
    CHECK_FALSE(verify("bert", "opensesame").has_value());
    CHECK_THROWS_AS(verify("down", "x"), Failure);
}

TEST_CASE("a snapshot is given back exactly once, also when it was moved") {
    static int held = 0;
    static qvd_snapshot snapshot{};
    snapshot.size = sizeof snapshot;
    qvd_inventory_service table{};
    table.size = sizeof table;
    table.take = [](const qvd_core*) -> const qvd_snapshot* {
        ++held;
        return &snapshot;
    };
    table.give_back = [](const qvd_core*, const qvd_snapshot*) { --held; };
    FakeCore core;
    core.services[QVD_CORE_INVENTORY] = &table;
    {
        auto first = qvd::sdk::Inventory(Core(core.raw())).take();
        CHECK(first.nodes().empty());
        const auto second = std::move(first);
        CHECK(second.vms().empty());
        CHECK(held == 1);
    }
    CHECK(held == 0);
}

TEST_CASE("a timer runs its function, logs what that throws, and is cancelled with the object") {
    static void (*fire)(void*) = nullptr;
    static void* data = nullptr;
    static std::vector<std::uint64_t> cancelled;
    qvd_timers_service table{};
    table.size = sizeof table;
    table.after = [](const qvd_core*, std::int64_t delay_ms, void (*f)(void*), void* d,
                     std::uint64_t* timer) {
        CHECK(delay_ms == 2000);
        fire = f;
        data = d;
        *timer = 8;
        return static_cast<qvd_status>(QVD_OK);
    };
    table.cancel = [](const qvd_core*, std::uint64_t timer) { cancelled.push_back(timer); };
    FakeCore core;
    core.services[QVD_CORE_TIMERS] = &table;
    {
        qvd::sdk::Timer timer{Core(core.raw())};
        timer.after(std::chrono::seconds(2), [] { throw std::runtime_error("tick"); });
        fire(data);
        CHECK(core.lines == std::vector<std::pair<int, std::string>>{{QVD_LOG_ERROR, "tick"}});
        CHECK(cancelled.empty());
    }
    CHECK(cancelled == std::vector<std::uint64_t>{8});
}

TEST_CASE("a timer may be set again by its own function, without waiting for itself") {
    static void (*fire)(void*) = nullptr;
    static void* data = nullptr;
    static std::uint64_t timers = 0;
    static std::vector<std::uint64_t> cancelled;
    qvd_timers_service table{};
    table.size = sizeof table;
    table.after = [](const qvd_core*, std::int64_t, void (*f)(void*), void* d,
                     std::uint64_t* timer) {
        fire = f;
        data = d;
        *timer = ++timers;
        return static_cast<qvd_status>(QVD_OK);
    };
    table.cancel = [](const qvd_core*, std::uint64_t timer) { cancelled.push_back(timer); };
    FakeCore core;
    core.services[QVD_CORE_TIMERS] = &table;
    int rounds = 0;
    {
        qvd::sdk::Timer timer{Core(core.raw())};
        std::function<void()> again = [&] {
            if (++rounds < 3) timer.after(std::chrono::seconds(1), again);
        };
        timer.after(std::chrono::seconds(1), again);
        while (timers > static_cast<std::uint64_t>(rounds)) fire(data);
        CHECK(cancelled.empty());
    }
    CHECK(rounds == 3);
}

TEST_CASE("a helper process is started with its arguments and its end is heard") {
    static const qvd_process_order* seen = nullptr;
    static qvd_process_order copy;
    qvd_processes_service table{};
    table.size = sizeof table;
    table.start = [](const qvd_core*, const qvd_call*, const qvd_process_order* order,
                     const qvd_sink* sink) {
        CHECK(text(*static_cast<const qvd_str*>(qvd_array_at(&order->arguments, 1))) == "--vm=3");
        copy = *order;
        seen = &copy;
        const qvd_process process = {
            sizeof process, QVD_PROCESS_RUNNING, order->label, 4711, 0, 99};
        sink->record(sink->data, QVD_KIND_PROCESS, &process);
        return static_cast<qvd_status>(QVD_OK);
    };
    table.adopt = [](const qvd_core*, const qvd_call*, const qvd_process* process,
                     void (*)(void*, const qvd_process*), void*, const qvd_sink* sink) {
        if (process->start_time == 99) return static_cast<qvd_status>(QVD_OK);
        return refuse(sink, QVD_NOT_FOUND, "it has ended");
    };
    FakeCore core;
    core.services[QVD_CORE_PROCESSES] = &table;
    std::vector<std::int32_t> codes;
    qvd::sdk::Processes processes(Core(core.raw()), [&](const qvd::sdk::Process& ended) {
        codes.push_back(ended.exit_code);
    });
    qvd::sdk::ProcessOrder order;
    order.label = "vm-3";
    order.arguments = {"/usr/lib/qvd/bin/keeper", "--vm=3"};
    const qvd::sdk::Process process = processes.start(nullptr, order);
    CHECK(process.pid == 4711);
    CHECK(process.start_time == 99);

    const qvd_process ended = {sizeof ended, QVD_PROCESS_EXITED, text("vm-3"), 4711, 6, 99};
    seen->ended(seen->data, &ended);
    CHECK(codes == std::vector<std::int32_t>{6});

    CHECK(processes.adopt(nullptr, process));
    qvd::sdk::Process other = process;
    other.start_time = 98;
    CHECK_FALSE(processes.adopt(nullptr, other));
}

TEST_CASE("typed configuration tells an unset key from an undeclared one") {
    qvd_configuration_service table{};
    table.size = sizeof table;
    table.get_integer = [](const qvd_core*, qvd_str key, std::int64_t* value) {
        if (text(key) == "unset") return static_cast<qvd_status>(QVD_NOT_FOUND);
        if (text(key) != "patience") return static_cast<qvd_status>(QVD_INVALID);
        *value = 30;
        return static_cast<qvd_status>(QVD_OK);
    };
    FakeCore core;
    core.services[QVD_CORE_CONFIGURATION] = &table;
    const qvd::sdk::Configuration configuration{Core(core.raw())};
    CHECK(configuration.seconds("patience") == std::chrono::seconds(30));
    CHECK_THROWS_WITH(static_cast<void>(configuration.integer("unset")), "unset is not set");
    CHECK_THROWS_WITH(static_cast<void>(configuration.boolean("x")),
                      "x is not declared, or not with this type");
}
