#include "plugin/verified_passwords.hpp"

#include "tests/plugin/service_farm.hpp"

namespace qvd::plugin {

namespace {

constexpr PasswordCost cheap{64, 1};

Secret hash_of(const std::string& password, PasswordCost cost = {}) {
    return hash_password(Secret{password}, cost).value();
}

}  // namespace

TEST_CASE("a password that was right is not computed again for a minute, a wrong one always is") {
    FakeClock clock;
    VerifiedPasswords passwords(clock);
    const Secret hash = hash_of("secret");
    CHECK(passwords.verify(hash, Secret{"secret"}, "").matches);
    CHECK(passwords.computed() == 1);
    CHECK(passwords.verify(hash, Secret{"secret"}, "").matches);
    CHECK(passwords.computed() == 1);
    CHECK_FALSE(passwords.verify(hash, Secret{"wrong"}, "").matches);
    CHECK_FALSE(passwords.verify(hash, Secret{"wrong"}, "").matches);
    CHECK(passwords.computed() == 3);
    clock.advance(std::chrono::seconds(59));
    CHECK(passwords.verify(hash, Secret{"secret"}, "").matches);
    CHECK(passwords.computed() == 3);
    clock.advance(std::chrono::seconds(1));  // using it has not made it younger
    CHECK(passwords.verify(hash, Secret{"secret"}, "").matches);
    CHECK(passwords.computed() == 4);
}

TEST_CASE("another stored hash is another password, even of the same text") {
    FakeClock clock;
    VerifiedPasswords passwords(clock);
    const Secret old = hash_of("secret");
    CHECK(passwords.verify(old, Secret{"secret"}, "").matches);
    const Secret now = hash_of("changed");
    CHECK_FALSE(passwords.verify(now, Secret{"secret"}, "").matches);
    CHECK(passwords.verify(now, Secret{"changed"}, "").matches);
    CHECK(passwords.verify(hash_of("secret"), Secret{"secret"}, "").matches);
    CHECK(passwords.computed() == 4);
}

TEST_CASE("no hash, no password and an outdated hash are never taken for known") {
    FakeClock clock;
    VerifiedPasswords passwords(clock);
    for (int i = 0; i < 2; ++i) {
        CHECK_FALSE(passwords.verify(Secret{}, Secret{"secret"}, "").matches);
        CHECK_FALSE(passwords.verify(hash_of("secret", cheap), Secret{}, "").matches);
        const Secret upstream{upstream_password_hash("salt", Secret{"secret"})};
        CHECK(passwords.verify(upstream, Secret{"secret"}, "salt").outdated);
    }
    CHECK(passwords.computed() == 6);
    CHECK(passwords.size() == 0);
}

TEST_CASE("accounts: a second connection costs no second Argon2, until the password is changed") {
    Farm farm;
    const VerifiedPasswords& passwords = farm.room.host.passwords();
    farm.set_hash(std::string(hash_of("secret").reveal()));
    Answers answers;
    CHECK(farm.verify("bob", "secret", answers) == QVD_OK);
    CHECK(farm.verify("bob", "secret", answers) == QVD_OK);
    CHECK(passwords.computed() == 1);
    CHECK(farm.verify("bob", "wrong", answers) == QVD_DECLINED);
    CHECK(passwords.computed() == 2);
    farm.set_hash(std::string(hash_of("changed").reveal()));
    CHECK(farm.verify("bob", "secret", answers) == QVD_DECLINED);
    CHECK(farm.verify("bob", "changed", answers) == QVD_OK);
    CHECK(passwords.computed() == 4);
    CHECK(answers.users == std::vector<std::string>{"bob", "bob", "bob"});
}

}  // namespace qvd::plugin
