#include "plugin/authenticators.hpp"

#include "model/password.hpp"
#include "tests/plugin/chain.hpp"

#include <latch>
#include <thread>

namespace qvd::plugin {

TEST_CASE("the chain is asked in its order until one says yes, and that one's answers count") {
    Chain chain;
    std::string order;
    chain.a.authenticate = [&](const qvd_login* login, const qvd_credentials* credentials,
                               qvd_call* call) -> qvd_status {
        order += "a";
        CHECK(text(login->name) == "bob");
        CHECK(text(login->typed_name) == " Bob ");
        CHECK(text(login->client_address) == "192.0.2.7");
        CHECK(login->request == QVD_REQUEST_CONNECT);
        CHECK(login->vm_id == 5);
        CHECK(text(call->trace_id) == "trace-7");
        CHECK(std::string(credentials->secret.data, credentials->secret.length) == "secret");
        put(call, "from.a", "not taken");
        return QVD_DECLINED;
    };
    chain.b.authenticate = [&](const qvd_login*, const qvd_credentials*, qvd_call* call) {
        order += "b";
        put(call, "qvd.vm.user.uid", "1001");
        return qvd_call_identify(call, 77, lend("robert"));
    };
    chain.c.authenticate = [&](const auto*, const auto*, auto*) -> qvd_status {
        order += "c";
        return QVD_OK;
    };
    const auto login = chain.identify();
    REQUIRE(login.ok());
    CHECK(order == "ab");
    CHECK((*login)->name == "robert");
    CHECK((*login)->user == UserId{77});
    CHECK((*login)->session_parameters == Properties{{"qvd.vm.user.uid", "1001"}});
}

TEST_CASE("declined, denied and unavailable lead to the answer that the header promises") {
    struct Case {
        qvd_status b, c;
        const char* answer;
    };
    const Case cases[] = {
        {QVD_DECLINED, QVD_OK, "ok"},
        {QVD_DECLINED, QVD_DECLINED, "auth.refused | c: c says"},
        {QVD_DENIED, QVD_OK, "auth.refused | b: b says"},
        {QVD_UNAVAILABLE, QVD_OK, "ok"},
        {QVD_UNAVAILABLE, QVD_DENIED, "auth.refused | c: c says"},
        {QVD_UNAVAILABLE, QVD_DECLINED, "auth.unavailable | c: c says"},
        {QVD_TIMEOUT, QVD_DECLINED, "auth.unavailable | c: c says"},
        {QVD_NOT_FOUND, QVD_OK, "ok"},
        {QVD_INTERNAL, QVD_OK, "ok"},
        {QVD_INTERNAL, QVD_DECLINED, "auth.refused | c: c says"},
        {4711, QVD_OK, "ok"},
    };
    Chain chain;
    for (const Case& one : cases) {
        CAPTURE(one.b);
        CAPTURE(one.c);
        CHECK(chain.answer(one.b, one.c) == one.answer);
    }
}

TEST_CASE("each plugin normalises what the one before made of the name, and may refuse") {
    Chain chain;
    chain.a.normalise_login = [](const qvd_login* login, qvd_call* call) {
        CHECK(text(login->name) == "bob");
        return qvd_call_identify(call, 0, lend("bob@example.org"));
    };
    chain.b.normalise_login = [](const qvd_login* login, qvd_call*) -> qvd_status {
        CHECK(text(login->name) == "bob@example.org");
        return QVD_DECLINED;
    };
    chain.c.authenticate = [](const qvd_login* login, const auto*, auto*) -> qvd_status {
        CHECK(text(login->name) == "bob@example.org");
        return QVD_OK;
    };
    CHECK(chain.identify().ok());
    chain.b.normalise_login = [](const auto*, qvd_call* call) {
        return says(call, QVD_DENIED, "no such realm");
    };
    CHECK(chain.identify().error().code() == "auth.refused");
    chain.b.normalise_login = [](const auto*, qvd_call* call) {
        return says(call, QVD_UNAVAILABLE, "no realms now");
    };
    CHECK(chain.identify().error().code() == "auth.unavailable");
    chain.b.normalise_login = nullptr;
    chain.a.normalise_login = nullptr;
    CHECK(chain.identify("secret", "  ").error().code() == "auth.refused");
}

TEST_CASE("a second factor is split off, asked for after the password, and must be right") {
    Chain chain;
    std::string seen;
    chain.b.split = [](const qvd_login*, qvd_secret whole, qvd_call* call) -> qvd_status {
        if (whole.length <= 6) return QVD_DECLINED;
        qvd_factors factors{sizeof(qvd_factors),
                            0,
                            {whole.data, whole.length - 6},
                            {whole.data + whole.length - 6, 6}};
        call->result(call, QVD_KIND_FACTORS, &factors);
        return QVD_OK;
    };
    chain.a.authenticate = [&](const qvd_login* login, const qvd_credentials* credentials,
                               qvd_call*) -> qvd_status {
        seen += std::string(credentials->secret.data, credentials->secret.length);
        CHECK(((login->flags & QVD_LOGIN_SECOND_FACTOR) != 0) == (seen == "secret"));
        return QVD_OK;
    };
    chain.c.second_factor = [&](const qvd_login*, qvd_secret factor, qvd_call*) -> qvd_status {
        seen += "+" + std::string(factor.data, factor.length);
        return seen.ends_with("123456") ? QVD_OK : QVD_DECLINED;
    };
    CHECK(chain.identify("secret123456").ok());
    CHECK(seen == "secret+123456");
    seen.clear();
    CHECK(chain.identify("secret654321").error().code() == "auth.refused");
    seen.clear();
    CHECK(chain.identify("short").ok());
    CHECK(seen == "short");
}

TEST_CASE("who cannot tell whether there is a second factor is not passed over") {
    Chain chain;
    chain.a.authenticate = [](const auto*, const auto*, auto*) -> qvd_status { return QVD_OK; };
    chain.b.split = [](const auto*, qvd_secret, qvd_call* call) {
        return says(call, QVD_UNAVAILABLE, "no token server");
    };
    CHECK(chain.identify().error().code() == "auth.unavailable");
    chain.b.split = [](const auto*, qvd_secret, qvd_call*) -> qvd_status { return QVD_OK; };
    const log::Capture log;
    CHECK(chain.identify().error().code() == "auth.refused");
    CHECK(log.contains("split a password without handing back a second factor"));
}

TEST_CASE("credentials stay alive until a pending call completes") {
    Chain chain;
    std::thread later;
    std::latch is_kept(1);
    chain.a.authenticate = [&](const qvd_login* login, const qvd_credentials* credentials,
                               qvd_call* call) -> qvd_status {
        later = std::thread([login, credentials, call, &is_kept] {
            is_kept.wait();
            const std::string secret(credentials->secret.data, credentials->secret.length);
            put(call, "seen", (text(login->name) + ":" + secret).c_str());
            call->complete(call, QVD_OK);
        });
        is_kept.count_down();
        return QVD_PENDING;
    };
    const auto login = chain.identify();
    later.join();
    REQUIRE(login.ok());
    CHECK((*login)->session_parameters.at("seen") == "bob:secret");
}

TEST_CASE("what an instance remembers of a login no other one sees, and it lasts") {
    Chain chain;
    qvd_str early{};
    chain.a.normalise_login = [&](const qvd_login* login, qvd_call*) -> qvd_status {
        login->put(login, lend("dn"), lend("cn=bob"));
        early = login->get(login, lend("dn"));
        login->put(login, lend("dn"), lend("cn=robert"));
        return QVD_DECLINED;
    };
    chain.b.normalise_login = [&](const qvd_login* login, qvd_call*) -> qvd_status {
        CHECK(login->get(login, lend("dn")).length == 0);
        return QVD_DECLINED;
    };
    chain.a.authenticate = [&](const qvd_login* login, const auto*, auto*) -> qvd_status {
        CHECK(text(login->get(login, lend("dn"))) == "cn=robert");
        CHECK(text(early) == "cn=bob");
        return QVD_OK;
    };
    CHECK(chain.identify().ok());
}

TEST_CASE("after the login every plugin is asked; one can add parameters, and one can refuse") {
    Chain chain;
    chain.a.authenticate = [](const auto*, const auto*, auto*) -> qvd_status { return QVD_OK; };
    chain.a.after_login = [](const auto*, qvd_call* call) { return put(call, "a", "1"); };
    chain.b.after_login = [](const auto*, auto*) -> qvd_status { return QVD_DECLINED; };
    chain.c.after_login = [](const qvd_login* login, qvd_call* call) {
        CHECK(login->session_parameters.count == 1);
        put(call, "c", "3");
        return qvd_call_identify(call, 9, lend(""));
    };
    const auto login = chain.identify().value();
    CHECK(chain.room.run(chain.authenticators.after_login(login, chain.request)).ok());
    CHECK(login->session_parameters == Properties{{"a", "1"}, {"c", "3"}});
    CHECK(login->user == UserId{9});
    CHECK(login->name == "bob");
    chain.b.after_login = [](const auto*, qvd_call* call) {
        return says(call, QVD_DENIED, "second factor required");
    };
    const auto refused = chain.room.run(chain.authenticators.after_login(login, chain.request));
    CHECK(refused.error().code() == "auth.refused");
    CHECK(refused.error().sentence() == "b: second factor required");
    chain.b.after_login = [](const auto*, auto*) -> qvd_status { return QVD_TIMEOUT; };
    CHECK(chain.room.run(chain.authenticators.after_login(login, chain.request)).error().code() ==
          "auth.unavailable");
}

TEST_CASE("the first list of VMs replaces the default one; any before_list_vms may refuse") {
    Chain chain;
    auto login = std::make_shared<Login>(LoginFacts{"bob", "192.0.2.7", {}});
    const auto list = [&] {
        return chain.room.run(chain.authenticators.list_vms(login, chain.request));
    };
    CHECK_FALSE(list().value().has_value());
    chain.b.list_vms = [](const auto*, qvd_call* call) -> qvd_status {
        qvd_vm_entry entry{};
        entry.size = sizeof entry;
        entry.id = 3;
        entry.name = lend("exam");
        call->result(call, QVD_KIND_VM_ENTRY, &entry);
        entry.id = 4;
        entry.name = lend("");
        call->result(call, QVD_KIND_VM_ENTRY, &entry);
        return QVD_OK;
    };
    const auto listed = list().value();
    REQUIRE(listed.has_value());
    REQUIRE(listed->size() == 2);
    CHECK((*listed)[0].vm == VmId{3});
    CHECK((*listed)[0].name == "exam");
    CHECK((*listed)[1].name.empty());
    chain.c.before_list_vms = [](const auto*, qvd_call* call) {
        return says(call, QVD_DENIED, "closed at night");
    };
    CHECK(list().error().sentence() == "closed at night");
}

TEST_CASE("records and values that do not belong to a function change nothing") {
    const log::Capture log;
    Chain chain;
    chain.a.authenticate = [](const auto*, const auto*, qvd_call* call) -> qvd_status {
        qvd_vm_entry entry{};
        entry.size = sizeof entry;
        call->result(call, QVD_KIND_VM_ENTRY, &entry);
        const qvd_identity cut{4, 0, 99, lend("eve")};
        call->result(call, QVD_KIND_IDENTITY, &cut);
        return QVD_OK;
    };
    const auto login = chain.identify().value();
    CHECK(login->name == "bob");
    CHECK(login->user == UserId{});
    CHECK(log.contains("handed back a record of kind 3 where it does not belong"));
    CHECK(log.contains("handed back a record of kind 32 where it does not belong"));
}

TEST_CASE("the plugin default lets in who has the right password") {
    Room room("path.plugins = " PLUGINS "\n");
    const auto hash = hash_password(Secret{"secret"}, {64, 1}).value();
    const UserId user = room.run(room.store.add_user("bob", hash)).value();
    Authenticators chain({room.registry.make(QVD_AUTHENTICATOR, "default").value()});
    const auto identify = [&](const char* password) {
        return room.run(chain.identify({"Bob", "192.0.2.7", {}}, Secret{password}, {}, false));
    };
    const auto login = identify("secret");
    REQUIRE(login.ok());
    CHECK((*login)->user == user);
    CHECK(identify("wrong").error().code() == "auth.refused");
    room.store.fail_with_unavailable(true);
    CHECK(identify("secret").error().code() == "auth.unavailable");
}

}  // namespace qvd::plugin
