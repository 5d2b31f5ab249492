#include "model/password.hpp"
#include "plugin/inventory.hpp"
#include "tests/plugin/service_farm.hpp"

namespace qvd::plugin {

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
    auto call =
        std::make_shared<Call>(farm.room.loop, "puppet", options, [&](qvd_call* raw) -> qvd_status {
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

}  // namespace qvd::plugin
