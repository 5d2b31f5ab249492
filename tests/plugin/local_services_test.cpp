#include "tests/plugin/service_farm.hpp"

#include <atomic>
#include <thread>

namespace qvd::plugin {

TEST_CASE("a timer fires once, by the plugin's threading, and may start another") {
    Farm farm;
    const auto* timers = farm.service<qvd_timers_service>(QVD_CORE_TIMERS);
    struct Data {
        const qvd_timers_service* timers;
        const qvd_core* core;
        std::atomic<int> fired{0};
        Signal twice;
        std::uint64_t timer = 0;
    } data{timers, farm.puppet.core, {}, {}, 0};
    const auto fire = [](void* raw) {
        auto& self = *static_cast<Data*>(raw);
        if (++self.fired == 2) return self.twice.set();
        (void)self.timers->after(
            self.core, 1,
            [](void* again) {
                auto& inner = *static_cast<Data*>(again);
                if (++inner.fired == 2) inner.twice.set();
            },
            raw, &self.timer);
    };
    std::uint64_t first = 0;
    CHECK(timers->after(farm.puppet.core, 1, fire, &data, &first) == QVD_OK);
    CHECK(data.twice.wait());
    timers->cancel(farm.puppet.core, first);
    CHECK(timers->after(farm.puppet.core, -1, fire, &data, &first) == QVD_INVALID);
    CHECK(timers->after(farm.puppet.core, 1, nullptr, &data, &first) == QVD_INVALID);
}

TEST_CASE("cancelling a timer waits for its function, and one that has not fired never will") {
    Farm farm;
    const auto* timers = farm.service<qvd_timers_service>(QVD_CORE_TIMERS);
    struct Data {
        Signal inside;
        Signal leave;
        std::atomic<bool> left{false};
    } data;
    std::uint64_t timer = 0;
    REQUIRE(timers->after(
                farm.puppet.core, 0,
                [](void* raw) {
                    auto& self = *static_cast<Data*>(raw);
                    self.inside.set();
                    (void)self.leave.wait();
                    self.left = true;
                },
                &data, &timer) == QVD_OK);
    REQUIRE(data.inside.wait());
    std::atomic<bool> left_before_cancel_returned{false};
    std::thread canceller([&] {
        timers->cancel(farm.puppet.core, timer);
        left_before_cancel_returned = data.left.load();
    });
    data.leave.set();
    canceller.join();
    CHECK(left_before_cancel_returned);

    bool fired = false;
    REQUIRE(timers->after(
                farm.puppet.core, 3'600'000, [](void* raw) { *static_cast<bool*>(raw) = true; },
                &fired, &timer) == QVD_OK);
    timers->cancel(farm.puppet.core, timer);
    timers->cancel(farm.puppet.core, 999);
    farm.instance.reset();
    CHECK_FALSE(fired);
}

TEST_CASE("timers that run when an instance ends are over before destroy()") {
    struct Data {
        Signal inside;
        std::atomic<bool> left{false};
        std::atomic<bool> left_at_destroy{false};
    } data;
    Puppet puppet;
    puppet.destroy = [&] { data.left_at_destroy = data.left.load(); };
    {
        Room room;
        auto instance = room.make(QVD_LOAD_BALANCER, puppet, "one", "puppet-concurrent");
        const auto* timers = static_cast<const qvd_timers_service*>(
            puppet.core->service(puppet.core, QVD_CORE_TIMERS));
        std::uint64_t timer = 0;
        REQUIRE(timers->after(
                    puppet.core, 0,
                    [](void* raw) {
                        auto& self = *static_cast<Data*>(raw);
                        self.inside.set();
                        std::this_thread::yield();
                        self.left = true;
                    },
                    &data, &timer) == QVD_OK);
        REQUIRE(data.inside.wait());
        instance.reset();
    }
    CHECK(data.left_at_destroy);
}

TEST_CASE("metrics are defined in create(), counted, and shown under the plugin's name") {
    Puppet puppet;
    std::uint32_t counter = 0;
    std::uint32_t gauge = 0;
    const qvd_metrics_service* metrics = nullptr;
    puppet.create = [&](const qvd_core* core, qvd_call*) -> qvd_status {
        metrics = static_cast<const qvd_metrics_service*>(core->service(core, QVD_CORE_METRICS));
        CHECK(metrics->define(core, QVD_COUNTER, lend("requests"), lend("asked"), &counter) ==
              QVD_OK);
        CHECK(metrics->define(core, QVD_GAUGE, lend("waiting"), lend("now"), &gauge) == QVD_OK);
        CHECK(metrics->define(core, QVD_GAUGE, lend("requests"), lend("x"), &gauge) ==
              QVD_CONFLICT);
        CHECK(metrics->define(core, QVD_GAUGE, lend("Bad Name"), lend("x"), &gauge) == QVD_INVALID);
        return QVD_OK;
    };
    Room room;
    const auto instance = room.make(QVD_LOAD_BALANCER, puppet);
    metrics->add(puppet.core, counter, 2);
    metrics->add(puppet.core, counter, -5);
    metrics->set(puppet.core, counter, 99);
    metrics->set(puppet.core, gauge, -3);
    metrics->add(puppet.core, 1000, 1);
    std::uint32_t late = 0;
    CHECK(metrics->define(puppet.core, QVD_COUNTER, lend("late"), lend("x"), &late) == QVD_INVALID);
    std::map<std::string, std::int64_t> shown;
    for (const auto& metric : room.host.metrics()) shown[metric->name] = metric->value;
    CHECK(shown ==
          std::map<std::string, std::int64_t>{{"puppet.requests", 2}, {"puppet.waiting", -3}});
    CHECK(metrics_text(room.host.metrics())
              .find("\n# TYPE qvd_puppet_waiting gauge\n"
                    "qvd_puppet_waiting -3\n") != std::string::npos);
    CHECK(metrics_text(room.host.metrics()).find("# HELP qvd_puppet_requests ") == 0);
}

TEST_CASE("configuration gives each declared key by its type, and no other") {
    Farm farm("puppet.weight = 2.5\npuppet.flag = off\npuppet.patience = 90s\n");
    const qvd_core* core = farm.puppet.core;
    const auto* keys = farm.service<qvd_configuration_service>(QVD_CORE_CONFIGURATION);
    std::int64_t whole = 0;
    CHECK(keys->get_integer(core, lend("puppet.count"), &whole) == QVD_OK);
    CHECK(whole == 3);
    CHECK(keys->get_integer(core, lend("puppet.flag"), &whole) == QVD_OK);
    CHECK(whole == 0);
    CHECK(keys->get_integer(core, lend("puppet.patience"), &whole) == QVD_OK);
    CHECK(whole == 90);
    CHECK(keys->get_integer(core, lend("puppet.unset"), &whole) == QVD_NOT_FOUND);
    CHECK(keys->get_integer(core, lend("puppet.weight"), &whole) == QVD_INVALID);
    double number = 0;
    CHECK(keys->get_number(core, lend("puppet.weight"), &number) == QVD_OK);
    CHECK(number == 2.5);
    CHECK(keys->get_number(core, lend("puppet.patience"), &number) == QVD_OK);
    CHECK(number == 90);
    const log::Capture log;
    qvd_str value{};
    CHECK(core->config(core, "database.password", &value) == QVD_INVALID);
    CHECK(log.contains("asks for the configuration key database.password"));
}

TEST_CASE("log lines bear the plugin's name, and no event of a plugin can forge another") {
    const log::Capture log;
    Farm farm;
    const auto* lines = farm.service<qvd_log_service>(QVD_CORE_LOG);
    const qvd_core* core = farm.puppet.core;
    lines->write(core, nullptr, QVD_LOG_WARNING, lend("ldap.slow"), lend("took 4 s"));
    lines->write(core, nullptr, QVD_LOG_WARNING, lend("x user=root event=y"), lend("forged"));
    core->log(core, QVD_LOG_INFO, lend("created"));
    CHECK(log.contains("event=ldap.slow plugin=puppet instance=one: took 4 s"));
    CHECK(log.contains("event=plugin.says plugin=puppet instance=one: forged"));
    CHECK(log.contains("created"));
    CHECK_FALSE(log.contains("user=root"));
}

TEST_CASE("a role offers only the services that it has") {
    EventLoop loop;
    qvd::testing::Stage stage;
    Puppet puppet;
    stage["puppet"] = &puppet;
    Host host(loop, qvd::testing::view_of("", stage), nullptr, 1);
    Registry registry(host);
    const auto instance = registry.make(QVD_LOAD_BALANCER, "puppet").value();
    for (const char* id : {QVD_CORE_PROVISIONING, QVD_CORE_ACCOUNTS, QVD_CORE_PROPERTIES,
                           QVD_CORE_PROCESSES, "qvd.unheard-of/1"})
        CHECK(puppet.core->service(puppet.core, id) == nullptr);
    for (const char* id : {QVD_CORE_LOG, QVD_CORE_CONFIGURATION, QVD_CORE_TIMERS,
                           QVD_CORE_INVENTORY, QVD_CORE_METRICS})
        CHECK(puppet.core->service(puppet.core, id) != nullptr);
    CHECK(puppet.core->service(puppet.core, QVD_CORE_VM_EVENTS) == nullptr);
    // As hkd does.
    host.on_vm_event = [](const VmStatus&) {};
    CHECK(puppet.core->service(puppet.core, QVD_CORE_VM_EVENTS) != nullptr);
    CHECK(puppet.core->service(puppet.core, QVD_CORE_INVENTORY) == nullptr);
}

TEST_CASE("hkd's plugins get no service that its database account refuses") {
    Farm farm;
    const qvd_core* core = farm.puppet.core;
    const auto* properties = farm.service<qvd_properties_service>(QVD_CORE_PROPERTIES);
    for (const char* id : {QVD_CORE_PROVISIONING, QVD_CORE_ACCOUNTS})
        CHECK(core->service(core, id) != nullptr);
    farm.room.host.on_vm_event = [](const VmStatus&) {};
    for (const char* id : {QVD_CORE_PROVISIONING, QVD_CORE_ACCOUNTS})
        CHECK(core->service(core, id) == nullptr);
    // It reads properties, but sets none.
    CHECK(core->service(core, QVD_CORE_PROPERTIES) == properties);
    Answers answers;
    CHECK(farm.ask([&](const qvd_call* call) {
        return properties->set(core, call, QVD_SCOPE_USER,
                               static_cast<std::uint64_t>(farm.user.value()), lend("room"),
                               lend("1"), &answers.sink);
    }) == QVD_DENIED);
    CHECK(farm.ask([&](const qvd_call* call) {
        return properties->get(core, call, QVD_SCOPE_USER,
                               static_cast<std::uint64_t>(farm.user.value()), lend("room"),
                               &answers.sink);
    }) == QVD_NOT_FOUND);
}

}  // namespace qvd::plugin
