#include "plugin/authenticators.hpp"

#include "plugin/record.hpp"

namespace qvd::plugin {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds call_limit{20'000};
constexpr std::size_t max_listed = 100'000;

Error refused(std::string sentence) {
    return {ErrorKind::denied, "auth.refused", std::move(sentence)};
}

bool is_outage(qvd_status status) {
    return status == QVD_UNAVAILABLE || status == QVD_TIMEOUT;
}

// The error of an answer that refuses a login: 503 if the plugin could not tell, otherwise 401.
Error refusal(const Outcome& outcome, const std::string& plugin) {
    const std::string sentence = to_error(outcome, "", plugin).sentence();
    if (is_outage(outcome.status)) return {ErrorKind::unavailable, "auth.unavailable", sentence};
    return refused(plugin + ": " + sentence);
}

bool goes_on(qvd_status status) {
    return status == QVD_OK || status == QVD_DECLINED;
}

// Which records a function of the interface may hand back.
enum Answers : unsigned { no_record = 0, identities = 1U, two_factors = 2U, vm_entries = 4U };

// What records of a call mean for the login; filled on the plugin's thread.
struct Collected {
    std::optional<UserId> user;
    std::optional<std::string> name;
    std::vector<ListedVm> listed;
    Secret password;
    Secret factor;

    bool take(qvd_kind kind, const void* record, unsigned allowed) {
        if (kind == QVD_KIND_IDENTITY && (allowed & identities) != 0U) return identity(record);
        if (kind == QVD_KIND_FACTORS && (allowed & two_factors) != 0U) return factors(record);
        if (kind == QVD_KIND_VM_ENTRY && (allowed & vm_entries) != 0U) return entry(record);
        return false;
    }

private:
    bool identity(const void* record) {
        const auto raw = copy_record<qvd_identity>(record, QVD_LEAST(qvd_identity, user_id));
        if (!raw) return false;
        if (raw->user_id != 0) user = UserId{static_cast<std::int64_t>(raw->user_id)};
        if (raw->name.length != 0) name = text_of(raw->name);
        return true;
    }
    bool factors(const void* record) {
        const auto raw = copy_record<qvd_factors>(record, QVD_LEAST(qvd_factors, second_factor));
        if (!raw) return false;
        password = secret(raw->password);
        factor = secret(raw->second_factor);
        return true;
    }
    bool entry(const void* record) {
        const auto raw = copy_record<qvd_vm_entry>(record, QVD_LEAST(qvd_vm_entry, id));
        if (!raw || listed.size() >= max_listed) return false;
        listed.push_back({VmId{static_cast<std::int64_t>(raw->id)}, text_of(raw->name)});
        return true;
    }
    static Secret secret(qvd_secret raw) {
        return raw.data == nullptr ? Secret{} : Secret{std::string_view{raw.data, raw.length}};
    }
};

}  // namespace

// A VM as lent to a plugin: owns its record and properties.
class LentVmEntry {
public:
    LentVmEntry(store::VmRecord record, Properties properties)
        : record_(std::move(record)),
          properties_(std::move(properties)),
          raw_(raw_vm(record_, properties_.array())) {}
    LentVmEntry(const LentVmEntry&) = delete;
    LentVmEntry& operator=(const LentVmEntry&) = delete;
    ~LentVmEntry() = default;

    [[nodiscard]] const store::VmRecord& record() const { return record_; }
    [[nodiscard]] const qvd_vm_entry* raw() const { return &raw_; }

private:
    store::VmRecord record_;
    PropertyArray properties_;
    qvd_vm_entry raw_;
};

Authenticators::Async<std::shared_ptr<const LentVmEntry>> Authenticators::lend(store::VmRecord vm) {
    Properties properties;
    if (store::Store* const store = chain_.empty() ? nullptr : chain_.front()->host().store()) {
        QVD_CO_TRY(properties, co_await store->session_properties(vm.vm.id));
    }
    co_return std::make_shared<const LentVmEntry>(std::move(vm), std::move(properties));
}

asio::awaitable<Authenticators::Answer> Authenticators::ask(std::shared_ptr<Instance> plugin,
                                                            std::shared_ptr<Login> login,
                                                            LoginRequest request,
                                                            unsigned may_answer,
                                                            std::string_view function, Body body) {
    const auto collected = std::make_shared<Collected>();
    CallOptions options;
    options.function = function;
    options.limit = call_limit;
    options.trace = request.trace;
    options.collect = [collected, may_answer](qvd_kind kind, const void* record) {
        return collected->take(kind, record, may_answer);
    };
    const auto lent = std::make_shared<const LentLogin>(login, request, plugin->name());
    const auto* table = plugin->table<qvd_authenticator>();
    void* self = plugin->self();
    Answer answer;
    Call::Function asked = [table, self, lent, body = std::move(body)](qvd_call* call) {
        return body(table, self, lent->raw(), call);
    };
    answer.outcome = co_await plugin->call(std::move(options), std::move(asked));
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
        const Answer answer =
            co_await ask(plugin, login, request, identities, "normalise_login", std::move(body));
        if (!goes_on(answer.outcome.status)) co_return refusal(answer.outcome, plugin->name());
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
        const Answer answer =
            co_await ask(plugin, login, request, two_factors, "split", std::move(body));
        // Who cannot tell whether there is a second factor must not be passed over.
        if (!goes_on(answer.outcome.status)) co_return refusal(answer.outcome, plugin->name());
        if (answer.outcome.status != QVD_OK) continue;
        if (answer.factor.empty()) {
            log::warn("plugin.misbehaves", {{"plugin", plugin->name()}, {"trace", request.trace}},
                      "split a password without handing back a second factor");
            co_return refused(plugin->name() + ": split the password without a second factor");
        }
        password = answer.password;
        login->has_second_factor = true;
        co_return answer.factor;
    }
    co_return Secret{};
}

namespace {

bool is_asked(const Instance& plugin, bool second) {
    return second ? plugin.has(&qvd_authenticator::second_factor)
                  : plugin.has(&qvd_authenticator::authenticate);
}

auto body_of(std::shared_ptr<const Secret> secret, bool second) {
    // Lent until a pending call completes, so it is of the heap like the secret it points to.
    auto credentials = std::make_shared<const qvd_credentials>(qvd_credentials{
        sizeof(qvd_credentials), QVD_PASSWORD, {secret->reveal().data(), secret->reveal().size()}});
    return [secret = std::move(secret), credentials = std::move(credentials), second](
               const qvd_authenticator* table, void* self, const qvd_login* who, qvd_call* call) {
        return second ? table->second_factor(self, who, credentials->secret, call)
                      : table->authenticate(self, who, credentials.get(), call);
    };
}

}  // namespace

Authenticators::Async<void> Authenticators::until_one_says_yes(std::shared_ptr<Login> login,
                                                               LoginRequest request,
                                                               std::shared_ptr<const Secret> secret,
                                                               bool second) {
    const std::string_view function = second ? "second_factor" : "authenticate";
    std::string sentence = "no authenticator accepted the credentials";
    bool outage = false;
    for (const auto& plugin : chain_) {
        if (!is_asked(*plugin, second)) continue;
        Body body = body_of(secret, second);
        const Answer answer =
            co_await ask(plugin, login, request, identities, function, std::move(body));
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
        const Answer answer =
            co_await ask(plugin, login, request, identities, "after_login", std::move(body));
        if (!goes_on(answer.outcome.status)) co_return refusal(answer.outcome, plugin->name());
    }
    co_return Result<void>{};
}

Authenticators::Async<std::optional<std::vector<ListedVm>>> Authenticators::list_vms(
    std::shared_ptr<Login> login, LoginRequest request) {
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::before_list_vms)) continue;
        Body body = [](const qvd_authenticator* table, void* self, const qvd_login* who,
                       qvd_call* call) { return table->before_list_vms(self, who, call); };
        const Answer answer =
            co_await ask(plugin, login, request, no_record, "before_list_vms", std::move(body));
        if (!goes_on(answer.outcome.status))
            co_return to_error(answer.outcome, "vm.list_refused", plugin->name());
    }
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::list_vms)) continue;
        Body body = [](const qvd_authenticator* table, void* self, const qvd_login* who,
                       qvd_call* call) { return table->list_vms(self, who, call); };
        Answer answer =
            co_await ask(plugin, login, request, vm_entries, "list_vms", std::move(body));
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
    QVD_CO_TRY(const auto entry, co_await lend(std::move(vm)));
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::allow_access)) {
            if (entry->record().vm.user == login->user) co_return Result<void>{};
            continue;
        }
        Body body = [entry](const qvd_authenticator* table, void* self, const qvd_login* who,
                            qvd_call* call) {
            return table->allow_access(self, who, entry->raw(), call);
        };
        const Answer answer =
            co_await ask(plugin, login, request, no_record, "allow_access", std::move(body));
        if (answer.outcome.status == QVD_OK) co_return Result<void>{};
        if (!answer.outcome.sentence.empty()) sentence = answer.outcome.sentence;
    }
    co_return Error{ErrorKind::denied, "vm.not_allowed", sentence};
}

Authenticators::Async<void> Authenticators::before_connect(std::shared_ptr<Login> login,
                                                           LoginRequest request,
                                                           store::VmRecord vm) {
    QVD_CO_TRY(const auto entry, co_await lend(std::move(vm)));
    for (const auto& plugin : chain_) {
        if (!plugin->has(&qvd_authenticator::before_connect)) continue;
        Body body = [entry](const qvd_authenticator* table, void* self, const qvd_login* who,
                            qvd_call* call) {
            return table->before_connect(self, who, entry->raw(), call);
        };
        const Answer answer =
            co_await ask(plugin, login, request, no_record, "before_connect", std::move(body));
        if (!goes_on(answer.outcome.status))
            co_return to_error(answer.outcome, "connect.refused", plugin->name());
    }
    co_return Result<void>{};
}

}  // namespace qvd::plugin
