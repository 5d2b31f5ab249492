#include "plugin/authenticators.hpp"

namespace qvd::plugin {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds call_limit{20'000};

std::string text(qvd_str raw) {
    return raw.data == nullptr ? std::string{} : std::string(raw.data, raw.length);
}

Error refused(std::string sentence) {
    return {ErrorKind::denied, "auth.refused", std::move(sentence)};
}

bool is_outage(qvd_status status) {
    return status == QVD_UNAVAILABLE || status == QVD_TIMEOUT;
}

// What records of a call mean for the login; filled on the plugin's thread.
struct Collected {
    std::optional<UserId> user;
    std::optional<std::string> name;
    std::vector<ListedVm> listed;
    Secret password;
    Secret factor;

    bool take(qvd_kind kind, const void* record) {
        if (kind == QVD_KIND_IDENTITY) {
            const auto& identity = *static_cast<const qvd_identity*>(record);
            if (identity.user_id != 0) user = UserId{static_cast<std::int64_t>(identity.user_id)};
            if (identity.name.length != 0) name = text(identity.name);
            return true;
        }
        if (kind == QVD_KIND_FACTORS) {
            const auto& factors = *static_cast<const qvd_factors*>(record);
            password = Secret{text({factors.password.data, factors.password.length})};
            factor = Secret{text({factors.second_factor.data, factors.second_factor.length})};
            return true;
        }
        if (kind == QVD_KIND_VM_ENTRY) {
            const auto& entry = *static_cast<const qvd_vm_entry*>(record);
            listed.push_back({VmId{static_cast<std::int64_t>(entry.id)}, text(entry.name)});
            return true;
        }
        return false;
    }
};

}  // namespace

asio::awaitable<Authenticators::Answer> Authenticators::ask(std::shared_ptr<Instance> plugin,
                                                            std::shared_ptr<Login> login,
                                                            LoginRequest request, Body body) {
    const auto collected = std::make_shared<Collected>();
    CallOptions options;
    options.limit = call_limit;
    options.trace = request.trace;
    options.collect = [collected](qvd_kind kind, const void* record) {
        return collected->take(kind, record);
    };
    const auto lent = std::make_shared<const LentLogin>(login, request, plugin->name());
    const auto* table = plugin->table<qvd_authenticator>();
    void* self = plugin->self();
    Answer answer;
    answer.outcome = co_await plugin->call(
        std::move(options), [table, self, lent, body = std::move(body)](qvd_call* call) {
            return body(table, self, lent->raw(), call);
        });
    if (answer.outcome.status != QVD_OK) co_return answer;
    if (collected->user) login->user = *collected->user;
    if (collected->name) login->name = *collected->name;
    for (const auto& [key, value] : answer.outcome.values) login->session_parameters[key] = value;
    answer.listed = std::move(collected->listed);
    answer.password = std::move(collected->password);
    answer.factor = std::move(collected->factor);
    co_return answer;
}

Authenticators::Async<void> Authenticators::normalise(std::shared_ptr<Login> login,
                                                      LoginRequest request) {
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::normalise_login)) continue;
        Body body = [](const qvd_authenticator* table, void* self, const qvd_login* lent,
                       qvd_call* call) { return table->normalise_login(self, lent, call); };
        const Answer answer = co_await ask(plugin, login, request, std::move(body));
        if (answer.outcome.status != QVD_OK && answer.outcome.status != QVD_DECLINED)
            co_return to_error(answer.outcome, "auth.refused", plugin->name());
    }
    co_return Result<void>{};
}

Authenticators::Async<Secret> Authenticators::split(std::shared_ptr<Login> login,
                                                    LoginRequest request, Secret& password) {
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::split)) continue;
        const auto lent = std::make_shared<const Secret>(password);
        Body body = [lent](const qvd_authenticator* table, void* self, const qvd_login* who,
                           qvd_call* call) {
            return table->split(self, who, {lent->reveal().data(), lent->reveal().size()}, call);
        };
        const Answer answer = co_await ask(plugin, login, request, std::move(body));
        if (answer.outcome.status != QVD_OK || answer.factor.empty()) continue;
        password = answer.password;
        login->has_second_factor = true;
        co_return answer.factor;
    }
    co_return Secret{};
}

Authenticators::Async<void> Authenticators::until_one_says_yes(std::shared_ptr<Login> login,
                                                               LoginRequest request,
                                                               std::shared_ptr<const Secret> secret,
                                                               bool second) {
    std::string sentence = "no authenticator accepted the credentials";
    bool outage = false;
    for (const auto& plugin : chain_) {
        if (second ? !plugin->has(&qvd_authenticator::second_factor)
                   : !plugin->has(&qvd_authenticator::authenticate))
            continue;
        Body body = [secret, second](const qvd_authenticator* table, void* self,
                                     const qvd_login* who, qvd_call* call) {
            const qvd_secret lent{secret->reveal().data(), secret->reveal().size()};
            if (second) return table->second_factor(self, who, lent, call);
            const qvd_credentials credentials{sizeof(qvd_credentials), QVD_PASSWORD, lent};
            return table->authenticate(self, who, &credentials, call);
        };
        const Answer answer = co_await ask(plugin, login, request, std::move(body));
        const qvd_status status = answer.outcome.status;
        if (status == QVD_OK) co_return Result<void>{};
        if (!answer.outcome.sentence.empty())
            sentence = plugin->name() + ": " + answer.outcome.sentence;
        if (status == QVD_DENIED) co_return refused(sentence);
        if (is_outage(status)) {
            outage = true;
        } else if (status != QVD_DECLINED && status != QVD_NOT_FOUND) {
            log::warn("auth.plugin_failed", {{"plugin", plugin->name()}, {"trace", request.trace}},
                      answer.outcome.sentence);
        }
    }
    if (outage) co_return Error{ErrorKind::unavailable, "auth.unavailable", sentence};
    co_return refused(sentence);
}

Authenticators::Async<std::shared_ptr<Login>> Authenticators::identify(LoginFacts facts,
                                                                       Secret password,
                                                                       LoginRequest request,
                                                                       bool case_sensitive) {
    auto login = std::make_shared<Login>(std::move(facts));
    login->name = normalise_login(login->facts.typed_name, case_sensitive);
    QVD_CO_CHECK(co_await normalise(login, request));
    if (login->name.empty()) co_return refused("the login is empty once normalised");
    QVD_CO_TRY(const Secret factor, co_await split(login, request, password));
    auto lent = std::make_shared<const Secret>(std::move(password));
    QVD_CO_CHECK(co_await until_one_says_yes(login, request, std::move(lent), false));
    if (!factor.empty()) {
        auto second = std::make_shared<const Secret>(factor);
        QVD_CO_CHECK(co_await until_one_says_yes(login, request, std::move(second), true));
    }
    co_return login;
}

Authenticators::Async<void> Authenticators::after_login(std::shared_ptr<Login> login,
                                                        LoginRequest request) {
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::after_login)) continue;
        Body body = [](const qvd_authenticator* table, void* self, const qvd_login* who,
                       qvd_call* call) { return table->after_login(self, who, call); };
        const Answer answer = co_await ask(plugin, login, request, std::move(body));
        const qvd_status status = answer.outcome.status;
        if (is_outage(status))
            co_return to_error(answer.outcome, "auth.unavailable", plugin->name());
        if (status != QVD_OK && status != QVD_DECLINED)
            co_return refused(to_error(answer.outcome, "", plugin->name()).sentence());
    }
    co_return Result<void>{};
}

Authenticators::Async<std::optional<std::vector<ListedVm>>> Authenticators::list_vms(
    std::shared_ptr<Login> login, LoginRequest request) {
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::before_list_vms)) continue;
        Body body = [](const qvd_authenticator* table, void* self, const qvd_login* who,
                       qvd_call* call) { return table->before_list_vms(self, who, call); };
        const Answer answer = co_await ask(plugin, login, request, std::move(body));
        if (answer.outcome.status != QVD_OK && answer.outcome.status != QVD_DECLINED)
            co_return to_error(answer.outcome, "vm.list_refused", plugin->name());
    }
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::list_vms)) continue;
        Body body = [](const qvd_authenticator* table, void* self, const qvd_login* who,
                       qvd_call* call) { return table->list_vms(self, who, call); };
        Answer answer = co_await ask(plugin, login, request, std::move(body));
        if (answer.outcome.status == QVD_OK)
            co_return std::optional<std::vector<ListedVm>>(std::move(answer.listed));
        if (answer.outcome.status != QVD_DECLINED)
            co_return to_error(answer.outcome, "vm.list_refused", plugin->name());
    }
    co_return std::optional<std::vector<ListedVm>>{};
}

Authenticators::Async<void> Authenticators::allow_access(std::shared_ptr<Login> login,
                                                         LoginRequest request, store::VmRecord vm) {
    std::string sentence = "You are not allowed to access requested virtual machine";
    const auto record = std::make_shared<const store::VmRecord>(std::move(vm));
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::allow_access)) {
            if (record->vm.user == login->user) co_return Result<void>{};
            continue;
        }
        Body body = [record](const qvd_authenticator* table, void* self, const qvd_login* who,
                             qvd_call* call) {
            const qvd_vm_entry entry = raw_vm(*record, QVD_NO_ARRAY);
            return table->allow_access(self, who, &entry, call);
        };
        const Answer answer = co_await ask(plugin, login, request, std::move(body));
        if (answer.outcome.status == QVD_OK) co_return Result<void>{};
        if (!answer.outcome.sentence.empty()) sentence = answer.outcome.sentence;
    }
    co_return Error{ErrorKind::denied, "vm.not_allowed", sentence};
}

Authenticators::Async<void> Authenticators::before_connect(std::shared_ptr<Login> login,
                                                           LoginRequest request,
                                                           store::VmRecord vm) {
    const auto record = std::make_shared<const store::VmRecord>(std::move(vm));
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::before_connect)) continue;
        Body body = [record](const qvd_authenticator* table, void* self, const qvd_login* who,
                             qvd_call* call) {
            const qvd_vm_entry entry = raw_vm(*record, QVD_NO_ARRAY);
            return table->before_connect(self, who, &entry, call);
        };
        const Answer answer = co_await ask(plugin, login, request, std::move(body));
        if (answer.outcome.status != QVD_OK && answer.outcome.status != QVD_DECLINED)
            co_return to_error(answer.outcome, "connect.refused", plugin->name());
    }
    co_return Result<void>{};
}

}  // namespace qvd::plugin
