// What the services keep in the database: run on the store in memory, and on PostgreSQL as the
// broker's role, which may not do everything.
#include "model/password.hpp"
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
    CHECK(farm.room.run(farm.owner.add_user("carl", std::nullopt)).ok());
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
    CHECK(farm.room.run(farm.owner.users()).value().size() == 2);
}

TEST_CASE("provisioning: VMs are made, listed and found, with what they inherit") {
    Farm farm;
    const auto* provisioning = farm.service<qvd_provisioning_service>(QVD_CORE_PROVISIONING);
    const qvd_core* core = farm.puppet.core;
    REQUIRE(farm.room
                .run(farm.owner.set_properties(store::Owner::osf, farm.osf.value(),
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

TEST_CASE("properties of users and VMs are a plugin's to set, those of nothing else") {
    Farm farm;
    const auto* properties = farm.service<qvd_properties_service>(QVD_CORE_PROPERTIES);
    const qvd_core* core = farm.puppet.core;
    const VmId vm = farm.room
                        .run(farm.owner.add_vm(
                            {"bobs", farm.user, farm.osf, "default", "", "10.3.15.2", "10.3.15.9"}))
                        .value();
    const NodeId node = farm.room.run(farm.owner.add_node("n1", "10.3.0.1")).value();
    Answers answers;
    const auto set = [&](qvd_scope scope, std::int64_t id, const char* value) {
        return farm.ask([&](const qvd_call* call) {
            return properties->set(core, call, scope, static_cast<std::uint64_t>(id), lend("room"),
                                   lend(value), &answers.sink);
        });
    };
    CHECK(set(QVD_SCOPE_VM, vm.value(), "1") == QVD_OK);
    CHECK(set(QVD_SCOPE_VM, vm.value(), "2") == QVD_OK);
    const auto kept = farm.room.run(farm.owner.properties(store::Owner::vm, vm.value())).value();
    CHECK(kept == Properties{{"room", "2"}});
    CHECK(answers.sentence.empty());
    CHECK(set(QVD_SCOPE_NODE, node.value(), "3") == QVD_DENIED);
    CHECK(answers.sentence.find("all others are the administrator's") != std::string::npos);
    CHECK(set(QVD_SCOPE_OSF, farm.osf.value(), "3") == QVD_DENIED);
    CHECK(set(QVD_SCOPE_DI, 1, "3") == QVD_DENIED);
}

}  // namespace qvd::plugin
