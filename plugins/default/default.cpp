// The authenticator "default": the passwords that the farm itself keeps.
#include <qvd/authenticator.hpp>

namespace {

class Default final : public qvd::Authenticator {
public:
    // The core hashes on the calling thread; several logins may do so at once.
    static constexpr qvd_threading threading = QVD_CONCURRENT;

    explicit Default(const qvd::sdk::Core& core) : accounts_(core) {}

    qvd::sdk::Answer authenticate(const qvd::sdk::Login& login,
                                  const qvd::sdk::Credentials& credentials,
                                  qvd::sdk::Call& call) override {
        if (!credentials.is_password()) return qvd::sdk::Answer::pass;
        const auto user = accounts_.verify_password(&call, login.name(), credentials.secret());
        if (!user) return qvd::sdk::Answer::pass;
        qvd::sdk::identify(call, user->id, user->login);
        return qvd::sdk::Answer::yes;
    }

private:
    qvd::sdk::Accounts accounts_;
};

}  // namespace

QVD_PLUGIN("default", "1.0.0", "Checks passwords that the farm itself keeps.", "Apache-2.0",
           qvd::sdk::provides<Default>())
