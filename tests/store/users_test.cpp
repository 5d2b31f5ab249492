#include "bench.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;

TEST_CASE("a user who was added is found by login, with his password hash") {
    Bench bench;
    const UserId ann = bench.must(bench.store().add_user("ann", Secret("$argon2id$x")));
    const auto found = bench.must(bench.store().user("ann"));
    REQUIRE(found.has_value());
    CHECK(found->id == ann);
    CHECK(bench.must(bench.store().password_hash(ann))->reveal() == "$argon2id$x");
    CHECK_FALSE(bench.must(bench.store().user("bob")).has_value());
}

TEST_CASE("a user may have no password hash until one is set") {
    Bench bench;
    const UserId ann = bench.must(bench.store().add_user("ann", std::nullopt));
    CHECK_FALSE(bench.must(bench.store().password_hash(ann)).has_value());
    bench.must(bench.store().set_password_hash(ann, Secret("new")));
    CHECK(bench.must(bench.store().password_hash(ann))->reveal() == "new");
    CHECK(bench.refusal(bench.store().set_password_hash(UserId{99999}, Secret("x"))) ==
          "user.not_found");
    CHECK(bench.refusal(bench.store().password_hash(UserId{99999})) == "user.not_found");
}

TEST_CASE("a login exists once and looks like one") {
    Bench bench;
    bench.must(bench.store().add_user("ann", std::nullopt));
    CHECK(bench.refusal(bench.store().add_user("ann", std::nullopt)) == "user.exists");
    CHECK(bench.refusal(bench.store().add_user("", std::nullopt)) == "user.login");
    CHECK(bench.refusal(bench.store().add_user("a\nb", std::nullopt)) == "user.login");
    CHECK(bench.refusal(bench.store().add_user("a\xC3", std::nullopt)) == "user.login");
    bench.must(bench.store().add_user("j\xC3\xBCrgen'); DROP TABLE users; --", std::nullopt));
    CHECK(bench.must(bench.store().users()).size() == 2);
}

TEST_CASE("a user who owns VMs stays") {
    Bench bench;
    const auto farm = bench.farm();
    CHECK(bench.refusal(bench.store().delete_user(farm.user)) == "user.has_vms");
    bench.must(bench.store().delete_vm(farm.vm));
    bench.must(bench.store().delete_user(farm.user));
    CHECK(bench.refusal(bench.store().delete_user(farm.user)) == "user.not_found");
}

TEST_CASE("who connected last is forgotten with the user") {
    Bench bench;
    const auto farm = bench.farm();
    const UserId guest = bench.must(bench.store().add_user("guest", std::nullopt));
    bench.must(bench.store().set_real_user(farm.vm, guest));
    CHECK(bench.vm(farm.vm).real_user_login == "guest");
    CHECK(bench.refusal(bench.store().set_real_user(farm.vm, UserId{99999})) == "user.not_found");
    bench.must(bench.store().delete_user(guest));
    CHECK(bench.vm(farm.vm).real_user_login.empty());
}

TEST_CASE("properties are set, changed and deleted in one go, for every kind of owner") {
    Bench bench;
    const auto farm = bench.farm();
    const std::vector<std::pair<Owner, std::int64_t>> owners{{Owner::user, farm.user.value()},
                                                             {Owner::vm, farm.vm.value()},
                                                             {Owner::osf, farm.osf.value()},
                                                             {Owner::di, farm.di.id.value()},
                                                             {Owner::node, farm.node.value()}};
    for (const auto& [owner, id] : owners) {
        bench.must(bench.store().set_properties(owner, id, {{"a", "1"}, {"b", "\"2\\,{}'"}}));
        bench.must(bench.store().set_properties(owner, id, {{"a", std::nullopt}, {"b", "3"}}));
        CHECK(bench.must(bench.store().properties(owner, id)) == Properties{{"b", "3"}});
        CHECK(bench.must(bench.store().properties(owner, 99999)).empty());
    }
    CHECK(bench.refusal(bench.store().set_properties(Owner::di, 99999, {{"a", "1"}})) ==
          "di.not_found");
    CHECK(bench.refusal(bench.store().set_properties(Owner::vm, 99999, {{"a", std::nullopt}})) ==
          "vm.not_found");
    CHECK(bench.refusal(bench.store().set_properties(Owner::vm, farm.vm.value(), {{"", "x"}})) ==
          "property.key");
    CHECK(bench.must(bench.store().nodes()).front().properties == Properties{{"b", "3"}});
}

TEST_CASE("the values that a property has anywhere are each told once") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    CHECK(bench.must(store.property_values("vm.hypervisor")).empty());
    bench.must(store.set_properties(Owner::osf, farm.osf.value(), {{"vm.hypervisor", "lxc"}}));
    bench.must(store.set_properties(Owner::vm, farm.vm.value(), {{"vm.hypervisor", "kvm"}}));
    bench.must(store.set_properties(Owner::di, farm.di.id.value(), {{"vm.hypervisor", "lxc"}}));
    bench.must(store.set_properties(Owner::user, farm.user.value(), {{"other", "x"}}));
    CHECK(bench.must(store.property_values("vm.hypervisor")) ==
          std::vector<std::string>{"kvm", "lxc"});
}

TEST_CASE("a value with every odd character comes back as it was") {
    Bench bench;
    const auto farm = bench.farm();
    const std::string odd = "a,b \"c\" \\d {e} 'f'\n\tNULL \xE2\x82\xAC";
    bench.must(
        bench.store().set_properties(Owner::vm, farm.vm.value(), {{"k", odd}, {"n", "NULL"}}));
    const auto found = bench.must(bench.store().properties(Owner::vm, farm.vm.value()));
    CHECK(found.at("k") == odd);
    CHECK(found.at("n") == "NULL");
}

TEST_CASE("a session gets osf, image, user and VM properties, the later winning") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.must(store.set_properties(Owner::osf, farm.osf.value(),
                                    {{"a", "osf"}, {"b", "osf"}, {"c", "osf"}, {"d", "osf"}}));
    bench.must(store.set_properties(Owner::di, farm.di.id.value(),
                                    {{"b", "di"}, {"c", "di"}, {"d", "di"}}));
    bench.must(
        store.set_properties(Owner::user, farm.user.value(), {{"c", "user"}, {"d", "user"}}));
    bench.must(store.set_properties(Owner::vm, farm.vm.value(), {{"d", "vm"}}));
    const Properties expected{{"a", "osf"}, {"b", "di"}, {"c", "user"}, {"d", "vm"}};
    CHECK(bench.must(store.session_properties(farm.vm)) == expected);
    CHECK(bench.start(farm.vm, farm.node).properties == expected);
    CHECK(bench.refusal(store.session_properties(VmId{99999})) == "vm.not_found");
}

TEST_CASE("the configuration is a table of keys and values") {
    Bench bench;
    auto& store = bench.store();
    CHECK(bench.must(store.configuration()).empty());
    bench.must(store.set_configuration({{"l7r.port", "8443"}, {"vm.x", ""}}));
    bench.must(store.set_configuration({{"l7r.port", "443"}}));
    CHECK(bench.must(store.configuration()) ==
          std::map<std::string, std::string>{{"l7r.port", "443"}, {"vm.x", ""}});
    CHECK(bench.must(store.delete_configuration({"l7r.port", "nothing"})) == 1);
    CHECK(bench.must(store.configuration()).size() == 1);
}

TEST_CASE("the certificate is replaced as a whole") {
    Bench bench;
    auto& store = bench.store();
    CHECK_FALSE(bench.must(store.certificate()).has_value());
    bench.must(store.set_certificate({"cert", Secret("key"), "ca", "crl"}));
    bench.must(store.set_certificate({"cert2", Secret("key2"), "", "crl2"}));
    const auto found = bench.must(store.certificate());
    REQUIRE(found.has_value());
    CHECK(found->certificate == "cert2");
    CHECK(found->key.reveal() == "key2");
    CHECK(found->ca.empty());
    CHECK(found->crl == "crl2");
}

TEST_CASE("the audit table takes what happened") {
    Bench bench;
    bench.must(bench.store().audit("root", "vm.start", "vm 3"));
    bench.must(bench.store().audit("ann", "vm.stop", "vm 4"));
    CHECK(bench.must(bench.store().audit_lines(1)).size() == 1);
    const auto lines = bench.must(bench.store().audit_lines(100));
    REQUIRE(lines.size() == 2);
    CHECK(lines.front().who == "root");
    CHECK(lines.front().operation == "vm.start");
    CHECK(lines.front().subject == "vm 3");
    CHECK_FALSE(lines.front().account.empty());
    CHECK(lines.back().id > lines.front().id);
    CHECK(lines.back().at >= lines.front().at);
}

TEST_CASE("the properties of all things of a kind are read at once") {
    Bench bench;
    const auto farm = bench.farm();
    const VmId other = bench.add_vm(farm, "other");
    (void)bench.add_vm(farm, "bare");
    bench.must(bench.store().set_properties(Owner::vm, farm.vm.value(), {{"a", "1"}, {"b", ""}}));
    bench.must(bench.store().set_properties(Owner::vm, other.value(), {{"a", "2"}}));
    const auto all = bench.must(bench.store().all_properties(Owner::vm));
    REQUIRE(all.size() == 2);
    CHECK(all.at(farm.vm.value()) == Properties{{"a", "1"}, {"b", ""}});
    CHECK(all.at(other.value()) == Properties{{"a", "2"}});
    for (const Owner owner : {Owner::user, Owner::osf, Owner::di, Owner::node})
        CHECK(bench.must(bench.store().all_properties(owner)).empty());
}

TEST_CASE("operators come and go, change, and are let in by name and hash") {
    Bench bench;
    auto& store = bench.store();
    CHECK(bench.must(store.operators()).empty());
    const OperatorId ann =
        bench.must(store.add_operator("ann", OperatorRole::administrator, Secret("h1")));
    bench.must(store.add_operator("ben", OperatorRole::observer, Secret("h2")));
    CHECK(bench.refusal(store.add_operator("ann", OperatorRole::observer, Secret("x"))) ==
          "operator.exists");
    CHECK(bench.refusal(store.add_operator("a:b", OperatorRole::observer, Secret("x"))) ==
          "operator.name");
    const auto access = bench.must(store.operator_access("ann"));
    REQUIRE(access.has_value());
    CHECK(access->who.role == OperatorRole::administrator);
    CHECK_FALSE(access->who.blocked);
    CHECK(access->password_hash.reveal() == "h1");
    bench.must(store.edit_operator(ann, {OperatorRole::attendant, true, Secret("h3")}));
    bench.must(store.edit_operator(ann, {}));
    const auto changed = bench.must(store.operator_access("ann"));
    CHECK(changed->who.role == OperatorRole::attendant);
    CHECK(changed->who.blocked);
    CHECK(changed->password_hash.reveal() == "h3");
    CHECK_FALSE(bench.must(store.operator_access("nobody")).has_value());
    bench.must(store.delete_operator(ann));
    CHECK(bench.refusal(store.delete_operator(ann)) == "operator.not_found");
    CHECK(bench.refusal(store.edit_operator(ann, {})) == "operator.not_found");
    const auto left = bench.must(store.operators());
    REQUIRE(left.size() == 1);
    CHECK(left.front().name == "ben");
    CHECK(left.front().role == OperatorRole::observer);
}
