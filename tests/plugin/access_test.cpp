// What authenticators say of a VM once its user is known.
#include "plugin/authenticators.hpp"
#include "tests/plugin/chain.hpp"

namespace qvd::plugin {

namespace {

// A chain, and a VM of bob's in its store.
struct OwnedVm : Chain {
    explicit OwnedVm(const std::string& file) : Chain(file) {
        login->user = room.run(room.store.add_user("bob", std::nullopt)).value();
        Osf osf;
        osf.name = "desktop";
        store::NewVm wanted;
        wanted.name = "bobs";
        wanted.user = login->user;
        wanted.osf = room.run(room.store.add_osf(osf)).value();
        wanted.address = "10.3.15.7";
        wanted.pool_first = "10.3.15.2";
        wanted.pool_last = "10.3.15.250";
        const VmId id = room.run(room.store.add_vm(wanted)).value();
        REQUIRE(room.run(room.store.set_properties(store::Owner::vm, id.value(),
                                                   {{"exam", std::string("1")}}))
                    .ok());
        vm = room.run(room.store.vm(id)).value().value();
    }
    // "ok", or why not.
    std::string allow() {
        const auto allowed = room.run(authenticators.allow_access(login, request, vm));
        return allowed.ok() ? "ok" : allowed.error().code() + " | " + allowed.error().sentence();
    }

    std::shared_ptr<Login> login = std::make_shared<Login>(LoginFacts{"bob", "192.0.2.7", {}});
    store::VmRecord vm;
};

}  // namespace

TEST_CASE("access: one yes is enough, and without one it is refused with the last sentence") {
    OwnedVm farm("puppet");
    CHECK(farm.allow() ==
          "vm.not_allowed | You are not allowed to access requested virtual machine");
    farm.a.allow_access = [](const auto*, const auto*, qvd_call* call) {
        return says(call, QVD_DENIED, "not during exams");
    };
    CHECK(farm.allow() == "vm.not_allowed | not during exams");
    farm.b.allow_access = [](const qvd_login*, const qvd_vm_entry* vm, qvd_call*) -> qvd_status {
        CHECK(text(vm->name) == "bobs");
        REQUIRE(vm->properties.count == 1);
        const auto& exam = *static_cast<const qvd_property*>(qvd_array_at(&vm->properties, 0));
        CHECK(text(exam.key) == "exam");
        return QVD_OK;
    };
    bool asked = false;
    farm.c.allow_access = [&](const auto*, const auto*, auto*) -> qvd_status {
        asked = true;
        return QVD_OK;
    };
    CHECK(farm.allow() == "ok");
    CHECK_FALSE(asked);
}

TEST_CASE("access: who has no word in it grants what is the user's own, and nothing else") {
    OwnedVm farm("puppet-plain");
    CHECK(farm.allow() == "ok");
    farm.login->user = UserId{farm.login->user.value() + 1};
    CHECK(farm.allow().starts_with("vm.not_allowed"));
}

TEST_CASE("before a connection every plugin is asked, adds parameters, and may refuse") {
    OwnedVm farm("puppet");
    const auto connect = [&] {
        return farm.room.run(farm.authenticators.before_connect(farm.login, farm.request, farm.vm));
    };
    farm.a.before_connect = [](const auto*, const qvd_vm_entry* vm, qvd_call* call) {
        CHECK(text(vm->state) == "stopped");
        return put(call, "qvd.printing", "1");
    };
    CHECK(connect().ok());
    CHECK(farm.login->session_parameters.at("qvd.printing") == "1");
    farm.c.before_connect = [](const auto*, const auto*, qvd_call* call) {
        return says(call, QVD_UNAVAILABLE, "no licence is free");
    };
    CHECK(connect().error().sentence() == "no licence is free");
}

}  // namespace qvd::plugin
