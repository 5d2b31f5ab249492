#include "plugin/login.hpp"

#include "base/log.hpp"
#include "plugin/record.hpp"

#include <atomic>

namespace qvd::plugin {

namespace {

constexpr std::size_t max_states = 1000;

std::uint64_t next_login() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

Properties with_environment(Properties parameters, const Properties& environment) {
    for (const auto& [name, value] : environment) parameters["env." + name] = value;
    return parameters;
}

}  // namespace

Login::Login(LoginFacts known) : id(next_login()), facts(std::move(known)) {
}

qvd_str Login::get(const std::string& instance, const std::string& key) {
    const std::scoped_lock lock(mutex_);
    const auto found = states_.find({instance, key});
    if (found == states_.end()) return {"", 0};
    return {found->second->reveal().data(), found->second->reveal().size()};
}

void Login::put(const std::string& instance, const std::string& key, Secret value) {
    const std::scoped_lock lock(mutex_);
    if (kept_.size() >= max_states) {
        log::warn("plugin.misbehaves", {{"plugin", instance}},
                  "wants to remember more than 1000 things of one login");
        return;
    }
    states_[{instance, key}] = &kept_.emplace_back(std::move(value));
}

LentLogin::LentLogin(std::shared_ptr<Login> login, const LoginRequest& request,
                     std::string instance)
    : login_(std::move(login)),
      instance_(std::move(instance)),
      typed_name_(login_->facts.typed_name),
      name_(login_->name),
      client_address_(login_->facts.client_address),
      request_parameters_(with_environment(request.parameters, login_->facts.shared_environment)),
      session_parameters_(login_->session_parameters) {
    raw_.owner = this;
    qvd_login& raw = raw_.login;
    raw.size = sizeof raw;
    if (login_->has_second_factor) raw.flags |= QVD_LOGIN_SECOND_FACTOR;
    raw.id = login_->id;
    raw.request = request.kind;
    raw.client_address = plugin::raw(client_address_);
    raw.typed_name = plugin::raw(typed_name_);
    raw.name = plugin::raw(name_);
    raw.user_id = static_cast<std::uint64_t>(login_->user.value());
    raw.vm_id = static_cast<std::uint64_t>(request.vm.value());
    raw.request_parameters = request_parameters_.array();
    raw.session_parameters = session_parameters_.array();
    raw.get = [](const qvd_login* lent, qvd_str key) {
        LentLogin& self = of(lent);
        return self.login_->get(self.instance_, text_of(key));
    };
    raw.put = [](const qvd_login* lent, qvd_str key, qvd_str value) {
        LentLogin& self = of(lent);
        const std::string_view kept{value.data == nullptr ? "" : value.data,
                                    value.data == nullptr ? 0 : value.length};
        self.login_->put(self.instance_, text_of(key), Secret{kept});
    };
}

LentLogin& LentLogin::of(const qvd_login* raw) {
    return *reinterpret_cast<const Raw*>(raw)->owner;  // NOLINT: a Raw's first member
}

}  // namespace qvd::plugin
