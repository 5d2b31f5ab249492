// qvd/authenticator.hpp - deciding who a client is and what he may reach, in C++17.
#pragma once

#include <qvd/authenticator.h>
#include <qvd/services.hpp>

namespace qvd {

namespace sdk {

// One login as it is at this call; lent for the call, its state lasts as long as the login.
class Login {
public:
    explicit Login(const qvd_login* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::uint64_t id() const noexcept { return raw_->id; }
    [[nodiscard]] qvd_login_request request() const noexcept { return raw_->request; }
    [[nodiscard]] bool has_second_factor() const noexcept {
        return (raw_->flags & QVD_LOGIN_SECOND_FACTOR) != 0;
    }
    [[nodiscard]] std::string_view client_address() const noexcept {
        return view(raw_->client_address);
    }
    [[nodiscard]] std::uint32_t client_port() const noexcept { return raw_->client_port; }
    [[nodiscard]] std::string_view typed_name() const noexcept { return view(raw_->typed_name); }
    [[nodiscard]] std::string_view name() const noexcept { return view(raw_->name); }
    [[nodiscard]] std::uint64_t user_id() const noexcept { return raw_->user_id; }
    [[nodiscard]] std::uint64_t vm_id() const noexcept { return raw_->vm_id; }
    [[nodiscard]] Properties request_parameters() const noexcept {
        return Properties(raw_->request_parameters);
    }
    [[nodiscard]] Properties session_parameters() const noexcept {
        return Properties(raw_->session_parameters);
    }

    // This instance's own state; empty if it was never put. Good until the login ends.
    [[nodiscard]] std::string_view get(std::string_view key) const {
        return view(raw_->get(raw_, str(key)));
    }
    void put(std::string_view key, std::string_view value) const {
        raw_->put(raw_, str(key), str(value));
    }

private:
    const qvd_login* raw_;
};

// What the client proves himself with; lent for the call.
class Credentials {
public:
    explicit Credentials(const qvd_credentials* raw) noexcept : raw_(raw) {}
    [[nodiscard]] qvd_credential_kind kind() const noexcept { return raw_->kind; }
    [[nodiscard]] bool is_password() const noexcept { return kind() == QVD_PASSWORD; }
    [[nodiscard]] SecretView secret() const noexcept { return SecretView(raw_->secret); }

private:
    const qvd_credentials* raw_;
};

// Says who the user is: his id (0: leave it) and his name from here on (empty: leave it). `to` is
// the Call, or the Pending if it was deferred.
template <class To>
void identify(To& to, std::uint64_t user_id, std::string_view name = {}) {
    to.result(QVD_KIND_IDENTITY, qvd_identity{sizeof(qvd_identity), 0, user_id, str(name)});
}

// A password as the client sent it, taken apart; views into it will do.
struct Factors {
    SecretView password;
    SecretView second_factor;
};

namespace detail {
template <class T>
struct AuthenticatorTable;
}

}  // namespace sdk

// Override what you take part in; what each function makes possible, and when it is called, is told
// in qvd/authenticator.h. Throw Failure(QVD_UNAVAILABLE, ...) if you cannot tell. [worker]
class Authenticator : public sdk::Instance {
public:
    // The name to go on with, or nothing to leave it as it is.
    virtual std::optional<std::string> normalise_login(const sdk::Login& /*login*/,
                                                       sdk::Call& /*call*/) {
        return std::nullopt;
    }
    virtual std::optional<sdk::Factors> split(const sdk::Login& /*login*/,
                                              sdk::SecretView /*password*/, sdk::Call& /*call*/) {
        return std::nullopt;
    }
    virtual sdk::Answer authenticate(const sdk::Login& /*login*/,
                                     const sdk::Credentials& /*credentials*/, sdk::Call& /*call*/) {
        return sdk::Answer::pass;
    }
    virtual sdk::Answer second_factor(const sdk::Login& /*login*/, sdk::SecretView /*factor*/,
                                      sdk::Call& /*call*/) {
        return sdk::Answer::pass;
    }
    // Throw Failure(QVD_DENIED, ...) to refuse the login after all.
    virtual void after_login(const sdk::Login& /*login*/, sdk::Call& /*call*/) {}
    virtual void before_list_vms(const sdk::Login& /*login*/, sdk::Call& /*call*/) {}
    // The ids of the VMs that the user is to see, or nothing for the next plugin's, or the default.
    virtual std::optional<std::vector<std::uint64_t>> list_vms(const sdk::Login& /*login*/,
                                                               sdk::Call& /*call*/) {
        return std::nullopt;
    }
    // yes grants it; not overridden, the owner is granted his own.
    virtual sdk::Answer allow_access(const sdk::Login& login, const sdk::VmEntry& vm,
                                     sdk::Call& /*call*/) {
        return vm.user_id() == login.user_id() ? sdk::Answer::yes : sdk::Answer::pass;
    }
    // call.put() adds session parameters for the agent.
    virtual void before_connect(const sdk::Login& /*login*/, const sdk::VmEntry& /*vm*/,
                                sdk::Call& /*call*/) {}

    template <class T>
    using Table = sdk::detail::AuthenticatorTable<T>;
};

namespace sdk::detail {

template <class T>
struct AuthenticatorTable : Lifetime<Authenticator, T> {
    static Authenticator* me(void* self) noexcept { return static_cast<Authenticator*>(self); }

    static qvd_status normalise_login(void* self, const qvd_login* login, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            const auto name = me(self)->normalise_login(Login(login), call);
            if (call.deferred() || !name) return QVD_DECLINED;
            identify(call, 0, *name);
            return QVD_OK;
        });
    }
    static qvd_status split(void* self, const qvd_login* login, qvd_secret password,
                            qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            const auto factors = me(self)->split(Login(login), SecretView(password), call);
            if (call.deferred() || !factors) return QVD_DECLINED;
            call.result(QVD_KIND_FACTORS,
                        qvd_factors{sizeof(qvd_factors), 0, factors->password.raw(),
                                    factors->second_factor.raw()});
            return QVD_OK;
        });
    }
    static qvd_status authenticate(void* self, const qvd_login* login,
                                   const qvd_credentials* credentials, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            return me(self)->authenticate(Login(login), Credentials(credentials), call);
        });
    }
    static qvd_status second_factor(void* self, const qvd_login* login, qvd_secret factor,
                                    qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            return me(self)->second_factor(Login(login), SecretView(factor), call);
        });
    }
    static qvd_status after_login(void* self, const qvd_login* login, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) { me(self)->after_login(Login(login), call); });
    }
    static qvd_status before_list_vms(void* self, const qvd_login* login, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) { me(self)->before_list_vms(Login(login), call); });
    }
    static qvd_status list_vms(void* self, const qvd_login* login, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            const auto vms = me(self)->list_vms(Login(login), call);
            if (call.deferred() || !vms) return QVD_DECLINED;
            for (const std::uint64_t id : *vms) {
                qvd_vm_entry entry{};
                entry.size = sizeof entry;
                entry.id = id;
                call.result(QVD_KIND_VM_ENTRY, entry);
            }
            return QVD_OK;
        });
    }
    static qvd_status allow_access(void* self, const qvd_login* login, const qvd_vm_entry* vm,
                                   qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            return me(self)->allow_access(Login(login), VmEntry(vm), call);
        });
    }
    static qvd_status before_connect(void* self, const qvd_login* login, const qvd_vm_entry* vm,
                                     qvd_call* raw) noexcept {
        return guarded(
            raw, [&](Call& call) { me(self)->before_connect(Login(login), VmEntry(vm), call); });
    }
    static constexpr qvd_authenticator table = {
        sizeof(qvd_authenticator),
        T::threading,
        &Lifetime<Authenticator, T>::create,
        &Lifetime<Authenticator, T>::destroy,
        QVD_SDK_SLOT(T, Authenticator, cancel, (&Lifetime<Authenticator, T>::cancel)),
        QVD_SDK_SLOT(T, Authenticator, normalise_login, &normalise_login),
        QVD_SDK_SLOT(T, Authenticator, split, &split),
        QVD_SDK_SLOT(T, Authenticator, authenticate, &authenticate),
        QVD_SDK_SLOT(T, Authenticator, second_factor, &second_factor),
        QVD_SDK_SLOT(T, Authenticator, after_login, &after_login),
        QVD_SDK_SLOT(T, Authenticator, before_list_vms, &before_list_vms),
        QVD_SDK_SLOT(T, Authenticator, list_vms, &list_vms),
        QVD_SDK_SLOT(T, Authenticator, allow_access, &allow_access),
        QVD_SDK_SLOT(T, Authenticator, before_connect, &before_connect)};
    static constexpr qvd_interface entry() noexcept { return {QVD_AUTHENTICATOR, &table}; }
};

}  // namespace sdk::detail
}  // namespace qvd
