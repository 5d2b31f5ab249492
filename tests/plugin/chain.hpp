// Three authenticators that answer what a test wants, in one chain.
#pragma once

#include "plugin/authenticators.hpp"
#include "tests/plugin/room.hpp"

#include <memory>
#include <string>

namespace qvd::plugin {

using qvd::testing::lend;
using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::text;

inline qvd_status put(qvd_call* call, const char* key, const char* value) {
    call->put(call, lend(key), lend(value));
    return QVD_OK;
}

inline qvd_status says(qvd_call* call, qvd_status status, const char* sentence) {
    return qvd_call_fail(call, status, sentence);
}

// A chain of three puppets, "a", "b" and "c", and a login that goes through it.
struct Chain {
    Chain() : Chain("puppet") {}
    explicit Chain(const std::string& file)
        : authenticators({room.make(QVD_AUTHENTICATOR, a, "a", file),
                          room.make(QVD_AUTHENTICATOR, b, "b", file),
                          room.make(QVD_AUTHENTICATOR, c, "c", file)}) {}

    Result<std::shared_ptr<Login>> identify(const std::string& password = "secret",
                                            const std::string& name = " Bob ") {
        LoginFacts facts{name, "192.0.2.7", {{"LANG", "de"}}};
        return room.run(
            authenticators.identify(std::move(facts), Secret{password}, request, false));
    }
    // How the chain answers if b and c say these; "ok" or the error's code and sentence.
    std::string answer(qvd_status of_b, qvd_status of_c) {
        b.authenticate = [of_b](const auto*, const auto*, qvd_call* call) {
            return says(call, of_b, "b says");
        };
        c.authenticate = [of_c](const auto*, const auto*, qvd_call* call) {
            return says(call, of_c, "c says");
        };
        const auto login = identify();
        return login.ok() ? "ok" : login.error().code() + " | " + login.error().sentence();
    }

    Puppet a, b, c;
    Room room;
    Authenticators authenticators;
    LoginRequest request{QVD_REQUEST_CONNECT, VmId{5}, {{"qvd.client.os", "linux"}}, "trace-7"};
};

}  // namespace qvd::plugin
