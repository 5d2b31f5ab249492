#include "model/password.hpp"
#include "plugin/inventory.hpp"
#include "tests/plugin/room.hpp"

#include <qvd/services.h>

#include <atomic>
#include <thread>

namespace qvd::plugin {

using qvd::testing::lend;
using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::Signal;
using qvd::testing::text;

namespace {

// What a service gave to its sink.
struct Answers {
    qvd_sink sink{sizeof(qvd_sink), 0, this, &Answers::take, &Answers::complain};
    std::vector<std::string> users;
    std::vector<std::string> vms;
    std::vector<std::string> vm_states;
    Properties properties;
    std::string sentence;
    std::uint64_t last_id = 0;

    Answers() = default;
    Answers(const Answers&) = delete;
    Answers& operator=(const Answers&) = delete;

private:
    static void take(void* data, qvd_kind kind, const void* record) {
        auto& self = *static_cast<Answers*>(data);
        if (kind == QVD_KIND_USER) {
            const auto& user = *static_cast<const qvd_user*>(record);
            self.users.push_back(text(user.login));
            self.last_id = user.id;
        } else if (kind == QVD_KIND_VM_ENTRY) {
            const auto& vm = *static_cast<const qvd_vm_entry*>(record);
            self.vms.push_back(text(vm.name));
            self.vm_states.push_back(text(vm.state));
            self.last_id = vm.id;
            self.keep(vm.properties);
        } else if (kind == QVD_KIND_PROPERTY) {
            const auto& property = *static_cast<const qvd_property*>(record);
            self.properties[text(property.key)] = text(property.value);
        }
    }
    void keep(const qvd_array& array) {
        for (std::size_t i = 0; i < array.count; ++i) {
            const auto& property = *static_cast<const qvd_property*>(qvd_array_at(&array, i));
            properties[text(property.key)] = text(property.value);
        }
    }
    static void complain(void* data, qvd_str sentence) {
        static_cast<Answers*>(data)->sentence = text(sentence);
    }
};

struct Farm {
    explicit Farm(const std::string& configuration = "") : room(configuration) {
        instance = room.make(QVD_AUTHENTICATOR, puppet);
        user = room.run(room.store.add_user("bob", std::nullopt)).value();
        Osf wanted;
        wanted.name = "desktop";
        osf = room.run(room.store.add_osf(wanted)).value();
        (void)room.run(room.store.add_di({osf, "debian.tar.xz", ""})).value();
        room.host.vm_addresses = [] {
            return Result(std::pair<std::string, std::string>("10.3.15.2", "10.3.15.250"));
        };
    }

    template <class Table>
    const Table* service(const char* id) const {
        return static_cast<const Table*>(puppet.core->service(puppet.core, id));
    }
    // Asks a service on a worker thread, as a plugin would.
    qvd_status ask(const std::function<qvd_status(const qvd_call*)>& question,
                   Milliseconds limit = Milliseconds{10'000}) {
        CallOptions options;
        options.limit = limit;
        return room
            .call(
                *instance, [&](qvd_call* call) { return question(call); }, options)
            .status;
    }
    void set_hash(const std::string& hash) {
        REQUIRE(room.run(room.store.set_password_hash(user, Secret{hash})).ok());
    }
    std::string stored_hash() {
        const auto hash = room.run(room.store.password_hash(user)).value();
        return hash ? std::string(hash->reveal()) : std::string();
    }
    qvd_status verify(const std::string& login, const std::string& password, Answers& answers) {
        const auto* accounts = service<qvd_accounts_service>(QVD_CORE_ACCOUNTS);
        return ask([&](const qvd_call* call) {
            return accounts->verify_password(puppet.core, call, lend(login),
                                             {password.data(), password.size()}, &answers.sink);
        });
    }

    Puppet puppet;
    Room room;
    std::shared_ptr<Instance> instance;
    UserId user;
    OsfId osf;
};

}  // namespace

TEST_CASE("accounts: the right password is told from a wrong one, an unknown user and none") {
    Farm farm;
    farm.set_hash(std::string(hash_password(Secret{"secret"}, {64, 1}).value().reveal()));
    Answers answers;
    CHECK(farm.verify(" Bob ", "secret", answers) == QVD_OK);
    CHECK(answers.users == std::vector<std::string>{"bob"});
    CHECK(answers.last_id == static_cast<std::uint64_t>(farm.user.value()));
    Answers none;
    CHECK(farm.verify("bob", "wrong", none) == QVD_DECLINED);
    CHECK(farm.verify("bob", "", none) == QVD_DECLINED);
    CHECK(farm.verify("nobody", "secret", none) == QVD_NOT_FOUND);
    CHECK(none.users.empty());
    CHECK(farm.room.run(farm.room.store.add_user("carl", std::nullopt)).ok());
    CHECK(farm.verify("carl", "secret", none) == QVD_NOT_FOUND);
}

TEST_CASE("accounts: a hash of the original's is verified and replaced by Argon2id") {
    Farm farm("l7r.auth.plugin.default.salt = pepper\n");
    const std::string old = upstream_password_hash("pepper", Secret{"secret"});
    farm.set_hash(old);
    Answers answers;
    CHECK(farm.verify("bob", "wrong", answers) == QVD_DECLINED);
    CHECK(farm.stored_hash() == old);
    CHECK(farm.verify("bob", "secret", answers) == QVD_OK);
    CHECK(farm.stored_hash().starts_with("$argon2id$"));
    CHECK(farm.verify("bob", "secret", answers) == QVD_OK);
    CHECK(farm.verify("bob", "wrong", answers) == QVD_DECLINED);
}

TEST_CASE("accounts: without the database nobody can tell") {
    Farm farm;
    farm.room.store.fail_with_unavailable(true);
    Answers answers;
    CHECK(farm.verify("bob", "secret", answers) == QVD_UNAVAILABLE);
    CHECK_FALSE(answers.sentence.empty());
}

TEST_CASE("provisioning: users are found, made once, and their logins normalised") {
    Farm farm;
    const auto* provisioning = farm.service<qvd_provisioning_service>(QVD_CORE_PROVISIONING);
    Answers answers;
    const auto find = [&](const char* login) {
        return farm.ask([&](const qvd_call* call) {
            return provisioning->find_user(farm.puppet.core, call, lend(login), &answers.sink);
        });
    };
    CHECK(find("Bob") == QVD_OK);
    CHECK(find("eve") == QVD_NOT_FOUND);
    CHECK(answers.sentence == "there is no user eve");
    const auto ensure = [&](const char* login) {
        return farm.ask([&](const qvd_call* call) {
            return provisioning->ensure_user(farm.puppet.core, call, lend(login), &answers.sink);
        });
    };
    CHECK(ensure("Eve") == QVD_OK);
    const std::uint64_t eve = answers.last_id;
    CHECK(ensure("eve") == QVD_OK);
    CHECK(answers.last_id == eve);
    CHECK(ensure(" ") == QVD_INVALID);
    CHECK(farm.room.run(farm.room.store.users()).value().size() == 2);
}

TEST_CASE("provisioning: VMs are made, listed and found, with what they inherit") {
    Farm farm;
    const auto* provisioning = farm.service<qvd_provisioning_service>(QVD_CORE_PROVISIONING);
    const qvd_core* core = farm.puppet.core;
    REQUIRE(farm.room
                .run(farm.room.store.set_properties(store::Owner::osf, farm.osf.value(),
                                                    {{"desktop", std::string("xfce")}}))
                .ok());
    Answers made;
    const auto make = [&](const char* name, const char* tag) {
        const qvd_vm_order order{sizeof(qvd_vm_order),
                                 0,
                                 static_cast<std::uint64_t>(farm.user.value()),
                                 static_cast<std::uint64_t>(farm.osf.value()),
                                 lend(name),
                                 lend(tag)};
        return farm.ask([&](const qvd_call* call) {
            return provisioning->create_vm(core, call, &order, &made.sink);
        });
    };
    CHECK(make("bobs", "") == QVD_OK);
    CHECK(made.vms == std::vector<std::string>{"bobs"});
    CHECK(made.vm_states == std::vector<std::string>{"stopped"});
    CHECK(made.properties["desktop"] == "xfce");
    CHECK(make("bobs", "") == QVD_CONFLICT);

    Answers listed;
    CHECK(farm.ask([&](const qvd_call* call) {
        return provisioning->list_vms(core, call, static_cast<std::uint64_t>(farm.user.value()), 0,
                                      &listed.sink);
    }) == QVD_OK);
    CHECK(listed.vms == std::vector<std::string>{"bobs"});
    CHECK(farm.ask([&](const qvd_call* call) {
        return provisioning->list_vms(core, call, static_cast<std::uint64_t>(farm.user.value()),
                                      999, &listed.sink);
    }) == QVD_OK);
    CHECK(listed.vms.size() == 1);
    Answers found;
    CHECK(farm.ask([&](const qvd_call* call) {
        return provisioning->find_vm(core, call, made.last_id, lend(""), &found.sink);
    }) == QVD_OK);
    CHECK(farm.ask([&](const qvd_call* call) {
        return provisioning->find_vm(core, call, 0, lend("bobs"), &found.sink);
    }) == QVD_OK);
    CHECK(found.vms == std::vector<std::string>{"bobs", "bobs"});
    CHECK(farm.ask([&](const qvd_call* call) {
        return provisioning->find_vm(core, call, 0, lend("eves"), &found.sink);
    }) == QVD_NOT_FOUND);
}

TEST_CASE("properties are read, set and removed, each of its owner") {
    Farm farm;
    const auto* properties = farm.service<qvd_properties_service>(QVD_CORE_PROPERTIES);
    const qvd_core* core = farm.puppet.core;
    const auto user = static_cast<std::uint64_t>(farm.user.value());
    const auto set = [&](const char* value) {
        return farm.ask([&](const qvd_call* call) {
            Answers ignored;
            return properties->set(core, call, QVD_SCOPE_USER, user, lend("room"), lend(value),
                                   &ignored.sink);
        });
    };
    Answers answers;
    const auto get = [&](qvd_scope scope) {
        return farm.ask([&](const qvd_call* call) {
            return properties->get(core, call, scope, user, lend("room"), &answers.sink);
        });
    };
    CHECK(get(QVD_SCOPE_USER) == QVD_NOT_FOUND);
    CHECK(set("42") == QVD_OK);
    CHECK(get(QVD_SCOPE_USER) == QVD_OK);
    CHECK(answers.properties["room"] == "42");
    CHECK(get(77) == QVD_INVALID);
    CHECK(set("") == QVD_OK);
    CHECK(get(QVD_SCOPE_USER) == QVD_NOT_FOUND);
    Answers listed;
    CHECK(farm.ask([&](const qvd_call* call) {
        return properties->list(core, call, QVD_SCOPE_USER, user, &listed.sink);
    }) == QVD_OK);
    CHECK(listed.properties.empty());
}

TEST_CASE(
    "a service that waits refuses the event loop's thread, and keeps to its call's deadline") {
    const log::Capture log;
    Farm farm;
    const auto* provisioning = farm.service<qvd_provisioning_service>(QVD_CORE_PROVISIONING);
    Answers answers;
    qvd_status on_loop = QVD_OK;
    boost::asio::post(farm.room.loop, [&] {
        on_loop = provisioning->find_user(farm.puppet.core, nullptr, lend("bob"), &answers.sink);
    });
    farm.room.turn_until([&] { return on_loop != QVD_OK; });
    CHECK(on_loop == QVD_INVALID);
    CHECK(log.contains("called a service that waits from a [loop] function"));

    // Nobody turns the loop, so nobody answers.
    std::atomic<qvd_status> late{QVD_PENDING};
    Signal done;
    CallOptions options;
    options.limit = Milliseconds{30};
    auto call = std::make_shared<Call>(
        farm.room.loop.get_executor(), "puppet", options, [&](qvd_call* raw) -> qvd_status {
            late = provisioning->find_user(farm.puppet.core, raw, lend("bob"), &answers.sink);
            done.set();
            return late;
        });
    std::thread worker([call] { call->run(); });
    CHECK(done.wait());
    worker.join();
    CHECK(late == QVD_TIMEOUT);
    farm.room.loop.restart();
    farm.room.loop.poll();
}

TEST_CASE("snapshots show the farm as it was taken, and stay so") {
    Farm farm;
    const auto* inventory = farm.service<qvd_inventory_service>(QVD_CORE_INVENTORY);
    const qvd_core* core = farm.puppet.core;
    const qvd_snapshot* before = inventory->take(core);
    CHECK(before->nodes.count == 0);
    store::NodeRecord node;
    node.node.id = NodeId{7};
    node.node.name = "n7";
    node.runtime.state = NodeState::running;
    node.runtime.load = {4096, 1000, 4, 0.5, 8000};
    node.reserved_mib = 1500;
    node.properties = {{"rack", "3"}};
    farm.room.host.set_inventory(std::make_shared<const Inventory>(
        std::vector{node}, std::vector<store::VmRecord>{}, std::chrono::system_clock::now()));
    const qvd_snapshot* after = inventory->take(core);
    CHECK(before->nodes.count == 0);
    REQUIRE(after->nodes.count == 1);
    const auto& seen = *static_cast<const qvd_node*>(qvd_array_at(&after->nodes, 0));
    CHECK(text(seen.name) == "n7");
    CHECK(seen.flags == QVD_NODE_RUNNING);
    CHECK(seen.free_memory_mib == 0);
    CHECK(seen.load_age_ms == -1);
    CHECK(seen.properties.count == 1);
    inventory->give_back(core, before);
    inventory->give_back(core, after);
    inventory->give_back(core, nullptr);
}

TEST_CASE("a snapshot that a plugin keeps beyond its end is misbehaviour") {
    const log::Capture log;
    {
        Farm farm;
        (void)farm.service<qvd_inventory_service>(QVD_CORE_INVENTORY)->take(farm.puppet.core);
    }
    CHECK(log.contains("kept 1 snapshots beyond its end"));
}

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
    boost::asio::io_context loop;
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
}

}  // namespace qvd::plugin
