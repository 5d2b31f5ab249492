#include "tests/sdk/fake_core.hpp"

#include <qvd/authenticator.hpp>

#include <doctest/doctest.h>

using namespace qvd::testing;
using qvd::sdk::Answer;
using qvd::sdk::Call;
using qvd::sdk::Credentials;
using qvd::sdk::Factors;
using qvd::sdk::Login;
using qvd::sdk::SecretView;
using qvd::sdk::VmEntry;

namespace {

// Takes part in everything: knows anna/opensesame, wants six digits after the password.
class Doorman : public qvd::Authenticator {
public:
    std::optional<std::string> normalise_login(const Login& login, Call&) override {
        if (login.typed_name().find('\\') == std::string_view::npos) return std::nullopt;
        return std::string(login.name().substr(login.name().find('\\') + 1));
    }
    std::optional<Factors> split(const Login&, SecretView password, Call&) override {
        const std::string_view all = password.reveal();
        if (all.size() <= 6) return std::nullopt;
        return Factors{SecretView::of(all.substr(0, all.size() - 6)),
                       SecretView::of(all.substr(all.size() - 6))};
    }
    Answer authenticate(const Login& login, const Credentials& credentials, Call& call) override {
        if (!credentials.is_password()) return Answer::pass;
        if (login.name() == "locked") return Answer::refuse;
        if (login.name() == "offline")
            throw qvd::sdk::Failure(QVD_UNAVAILABLE, "no answer from the directory");
        if (login.name() != "anna" || credentials.secret().reveal() != "opensesame")
            return Answer::pass;
        login.put("dn", "uid=anna");
        qvd::sdk::identify(call, 42);
        call.put("qvd.vm.user.uid", "1001");
        return Answer::yes;
    }
    Answer second_factor(const Login& login, SecretView factor, Call&) override {
        return login.get("dn") == "uid=anna" && factor.reveal() == "123456" ? Answer::yes
                                                                            : Answer::pass;
    }
    void after_login(const Login& login, Call&) override {
        if (!login.has_second_factor())
            throw qvd::sdk::Failure(QVD_DENIED, "a second factor is required");
    }
    std::optional<std::vector<std::uint64_t>> list_vms(const Login& login, Call&) override {
        if (login.name() != "anna") return std::nullopt;
        return std::vector<std::uint64_t>{3, 5};
    }
    void before_connect(const Login&, const VmEntry& vm, Call& call) override {
        call.put("qvd.vm.note",
                 std::string(vm.name()) + "/" + std::string(vm.properties().get("colour", "grey")));
    }
};

class Bystander : public qvd::Authenticator {};

template <class T>
const qvd_authenticator& table_of() {
    return *static_cast<const qvd_authenticator*>(qvd::sdk::provides<T>().table);
}

struct FakeLogin {
    FakeLogin(std::string_view name) {
        raw.size = sizeof(qvd_login);
        raw.typed_name = raw.name = text(name);
        raw.get = [](const qvd_login* l, qvd_str key) {
            return text(static_cast<const Raw*>(l)->owner->state[text(key)]);
        };
        raw.put = [](const qvd_login* l, qvd_str key, qvd_str value) {
            static_cast<const Raw*>(l)->owner->state[text(key)] = text(value);
        };
        raw.owner = this;
    }
    FakeLogin(const FakeLogin&) = delete;
    FakeLogin& operator=(const FakeLogin&) = delete;

    struct Raw : qvd_login {
        FakeLogin* owner;
    };
    std::map<std::string, std::string> state;
    Raw raw{};
};

struct Door {
    FakeCore core;
    FakeCall call;
    void* self = nullptr;
    const qvd_authenticator& table = table_of<Doorman>();
    Door() { REQUIRE(table.create(core.raw(), call.raw(), &self) == QVD_OK); }
    ~Door() { table.destroy(self); }
    Door(const Door&) = delete;
    Door& operator=(const Door&) = delete;

    qvd_status authenticate(const FakeLogin& login, std::string_view password) {
        const qvd_credentials credentials = {sizeof credentials, QVD_PASSWORD, secret(password)};
        return table.authenticate(self, &login.raw, &credentials, call.raw());
    }
};

}  // namespace

TEST_CASE("the right password says who the user is and adds session parameters") {
    Door door;
    FakeLogin anna("anna");
    qvd_identity identity{};
    door.call.on_result = [&](qvd_kind kind, const void* record) {
        CHECK(kind == QVD_KIND_IDENTITY);
        identity = *static_cast<const qvd_identity*>(record);
    };
    CHECK(door.authenticate(anna, "opensesame") == QVD_OK);
    CHECK(identity.user_id == 42);
    CHECK(identity.name.length == 0);
    CHECK(door.call.values.at("qvd.vm.user.uid") == "1001");
}

TEST_CASE("wrong password, locked and unreachable are three different answers") {
    Door door;
    CHECK(door.authenticate(FakeLogin("anna"), "wrong") == QVD_DECLINED);
    CHECK(door.authenticate(FakeLogin("locked"), "x") == QVD_DENIED);
    CHECK(door.authenticate(FakeLogin("offline"), "x") == QVD_UNAVAILABLE);
    CHECK(door.call.sentence == "no answer from the directory");
}

TEST_CASE("a credential of a kind that the plugin does not know is declined") {
    Door door;
    const FakeLogin anna("anna");
    const qvd_credentials cookie = {sizeof cookie, 77, secret("opensesame")};
    CHECK(door.table.authenticate(door.self, &anna.raw, &cookie, door.call.raw()) == QVD_DECLINED);
}

TEST_CASE("state that authenticate put is there for the second factor") {
    Door door;
    FakeLogin anna("anna");
    auto second = [&](std::string_view factor) {
        return door.table.second_factor(door.self, &anna.raw, secret(factor), door.call.raw());
    };
    CHECK(second("123456") == QVD_DECLINED);
    CHECK(door.authenticate(anna, "opensesame") == QVD_OK);
    CHECK(second("654321") == QVD_DECLINED);
    CHECK(second("123456") == QVD_OK);
}

TEST_CASE("a second factor is split off the password, or nothing is") {
    Door door;
    const FakeLogin anna("anna");
    std::string password;
    std::string factor;
    door.call.on_result = [&](qvd_kind, const void* record) {
        const auto* factors = static_cast<const qvd_factors*>(record);
        password.assign(factors->password.data, factors->password.length);
        factor.assign(factors->second_factor.data, factors->second_factor.length);
    };
    CHECK(door.table.split(door.self, &anna.raw, secret("opensesame123456"), door.call.raw()) ==
          QVD_OK);
    CHECK(password == "opensesame");
    CHECK(factor == "123456");
    CHECK(door.table.split(door.self, &anna.raw, secret("short"), door.call.raw()) == QVD_DECLINED);
}

TEST_CASE("normalising changes the name or leaves it") {
    Door door;
    std::string name;
    door.call.on_result = [&](qvd_kind, const void* record) {
        name = text(static_cast<const qvd_identity*>(record)->name);
    };
    auto normalise = [&](const FakeLogin& login) {
        return door.table.normalise_login(door.self, &login.raw, door.call.raw());
    };
    CHECK(normalise(FakeLogin("EXAMPLE\\anna")) == QVD_OK);
    CHECK(name == "anna");
    CHECK(normalise(FakeLogin("anna")) == QVD_DECLINED);
}

TEST_CASE("after_login may refuse a login that went without a second factor") {
    Door door;
    FakeLogin anna("anna");
    auto after = [&] { return door.table.after_login(door.self, &anna.raw, door.call.raw()); };
    CHECK(after() == QVD_DENIED);
    CHECK(door.call.sentence == "a second factor is required");
    anna.raw.flags = QVD_LOGIN_SECOND_FACTOR;
    CHECK(after() == QVD_OK);
}

TEST_CASE("a list of its own replaces the default, for those that it knows") {
    Door door;
    std::vector<std::uint64_t> ids;
    door.call.on_result = [&](qvd_kind kind, const void* record) {
        CHECK(kind == QVD_KIND_VM_ENTRY);
        ids.push_back(static_cast<const qvd_vm_entry*>(record)->id);
    };
    auto list = [&](const FakeLogin& login) {
        return door.table.list_vms(door.self, &login.raw, door.call.raw());
    };
    CHECK(list(FakeLogin("anna")) == QVD_OK);
    CHECK(ids == std::vector<std::uint64_t>{3, 5});
    CHECK(list(FakeLogin("bert")) == QVD_DECLINED);
}

TEST_CASE("before_connect sees the VM and its properties") {
    Door door;
    const FakeLogin anna("anna");
    const std::vector<qvd_property> properties = {
        {sizeof(qvd_property), 0, text("colour"), text("green")}};
    qvd_vm_entry vm{};
    vm.size = sizeof vm;
    vm.name = text("desk");
    vm.properties = array(properties);
    CHECK(door.table.before_connect(door.self, &anna.raw, &vm, door.call.raw()) == QVD_OK);
    CHECK(door.call.values.at("qvd.vm.note") == "desk/green");
}

TEST_CASE("a plugin that overrides nothing takes no part: all its slots are null") {
    const qvd_authenticator& none = table_of<Bystander>();
    CHECK(static_cast<bool>(none.create));
    CHECK_FALSE(static_cast<bool>(none.cancel));
    CHECK_FALSE(static_cast<bool>(none.normalise_login));
    CHECK_FALSE(static_cast<bool>(none.split));
    CHECK_FALSE(static_cast<bool>(none.authenticate));
    CHECK_FALSE(static_cast<bool>(none.second_factor));
    CHECK_FALSE(static_cast<bool>(none.after_login));
    CHECK_FALSE(static_cast<bool>(none.before_list_vms));
    CHECK_FALSE(static_cast<bool>(none.list_vms));
    CHECK_FALSE(static_cast<bool>(none.allow_access));
    CHECK_FALSE(static_cast<bool>(none.before_connect));
    CHECK_FALSE(static_cast<bool>(table_of<Doorman>().allow_access));
    CHECK(static_cast<bool>(table_of<Doorman>().list_vms));
}
