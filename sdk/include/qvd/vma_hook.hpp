// qvd/vma_hook.hpp - taking part in a VM's session, in C++17.
#pragma once

#include <qvd/plugin.hpp>
#include <qvd/vma_hook.h>

namespace qvd {

namespace sdk {

// The session that an event belongs to; lent for the call.
class Session {
public:
    explicit Session(const qvd_session* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::uint64_t vm_id() const noexcept { return raw_->vm_id; }
    [[nodiscard]] std::string_view event() const noexcept { return view(raw_->event); }
    [[nodiscard]] std::string_view user_name() const noexcept { return view(raw_->user_name); }
    [[nodiscard]] std::string_view user_home() const noexcept { return view(raw_->user_home); }
    [[nodiscard]] Properties parameters() const noexcept { return Properties(raw_->parameters); }

private:
    const qvd_session* raw_;
};

enum class Action : std::uint32_t {
    pre_connect = QVD_VMA_PRE_CONNECT,
    connect = QVD_VMA_CONNECT,
    suspend = QVD_VMA_SUSPEND,
    stop = QVD_VMA_STOP,
    poweroff = QVD_VMA_POWEROFF,
    expire = QVD_VMA_EXPIRE,
};
enum class SessionState : std::uint32_t {
    connected = QVD_VMA_CONNECTED,
    suspended = QVD_VMA_SUSPENDED,
    disconnected = QVD_VMA_DISCONNECTED,
};
enum class Provision : std::uint32_t {
    mount_home = QVD_VMA_MOUNT_HOME,
    add_user = QVD_VMA_ADD_USER,
    after_add_user = QVD_VMA_AFTER_ADD_USER,
};

namespace detail {
template <class T>
struct VmaHookTable;
}

}  // namespace sdk

// Override what you want to hear of. A newer agent may name events that the enumerations above do
// not have: leave those alone. [worker]
class VmaHook : public sdk::Instance {
public:
    // Throw Failure to abort the action; its sentence reaches the user.
    virtual void on_action(sdk::Action /*action*/, const sdk::Session& /*session*/,
                           sdk::Call& /*call*/) {}
    virtual void on_state(sdk::SessionState /*state*/, const sdk::Session& /*session*/,
                          sdk::Call& /*call*/) {}
    // yes: done, the agent does not do it its own way. Throw Failure to abort the connection.
    virtual sdk::Answer on_provisioning(sdk::Provision /*step*/, const sdk::Session& /*session*/,
                                        sdk::Call& /*call*/) {
        return sdk::Answer::pass;
    }

    template <class T>
    using Table = sdk::detail::VmaHookTable<T>;
};

namespace sdk::detail {

template <class T>
struct VmaHookTable : Lifetime<VmaHook, T> {
    static qvd_status on_action(void* self, qvd_vma_action action, const qvd_session* session,
                                qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            static_cast<VmaHook*>(self)->on_action(static_cast<Action>(action), Session(session),
                                                   call);
        });
    }
    static qvd_status on_state(void* self, qvd_vma_state state, const qvd_session* session,
                               qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            static_cast<VmaHook*>(self)->on_state(static_cast<SessionState>(state),
                                                  Session(session), call);
        });
    }
    static qvd_status on_provisioning(void* self, qvd_vma_provisioning step,
                                      const qvd_session* session, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            return static_cast<VmaHook*>(self)->on_provisioning(static_cast<Provision>(step),
                                                                Session(session), call);
        });
    }
    static constexpr qvd_vma_hook table = {
        sizeof(qvd_vma_hook),
        T::threading,
        &Lifetime<VmaHook, T>::create,
        &Lifetime<VmaHook, T>::destroy,
        QVD_SDK_SLOT(T, VmaHook, cancel, (&Lifetime<VmaHook, T>::cancel)),
        QVD_SDK_SLOT(T, VmaHook, on_action, &on_action),
        QVD_SDK_SLOT(T, VmaHook, on_state, &on_state),
        QVD_SDK_SLOT(T, VmaHook, on_provisioning, &on_provisioning)};
    static constexpr qvd_interface entry() noexcept { return {QVD_VMA_HOOK, &table}; }
};

}  // namespace sdk::detail
}  // namespace qvd
