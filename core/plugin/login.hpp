// One login from its credentials to the end of its connection, with what each authenticator wants
// to remember of it.
#pragma once

#include "base/secret.hpp"
#include "plugin/inventory.hpp"

#include <qvd/authenticator.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace qvd::plugin {

// What is known before anybody was asked.
struct LoginFacts {
    std::string typed_name;
    std::string client_address;
    Properties shared_environment;  // variables that the client sent along
};

class Login {
public:
    explicit Login(LoginFacts known);
    Login(const Login&) = delete;
    Login& operator=(const Login&) = delete;
    ~Login() = default;

    std::uint64_t id;
    LoginFacts facts;
    std::string name;  // normalised so far
    UserId user;       // 0 until known
    bool has_second_factor = false;
    Properties session_parameters;  // what plugins put() so far

    // [any] State of the plugin instance called `instance`; texts live as long as the login.
    qvd_str get(const std::string& instance, const std::string& key);
    void put(const std::string& instance, const std::string& key, Secret value);

private:
    std::mutex mutex_;  // guards states_ and kept_
    std::map<std::pair<std::string, std::string>, const Secret*> states_;
    std::deque<Secret> kept_;
};

// What the client asks for in the request at hand.
struct LoginRequest {
    qvd_login_request kind = QVD_REQUEST_OTHER;
    VmId vm;  // 0: none
    Properties parameters;
    std::string trace;
};

// The login as one instance sees it in one call; owns all that it points to.
class LentLogin {
public:
    LentLogin(std::shared_ptr<Login> login, const LoginRequest& request, std::string instance);
    LentLogin(const LentLogin&) = delete;
    LentLogin& operator=(const LentLogin&) = delete;
    ~LentLogin() = default;

    [[nodiscard]] const qvd_login* raw() const { return &raw_.login; }

private:
    struct Raw {
        qvd_login login;
        LentLogin* owner;
    };
    static LentLogin& of(const qvd_login* raw);

    std::shared_ptr<Login> login_;
    std::string instance_;
    std::string typed_name_;
    std::string name_;
    std::string client_address_;
    PropertyArray request_parameters_;
    PropertyArray session_parameters_;
    Raw raw_{};
};

}  // namespace qvd::plugin
