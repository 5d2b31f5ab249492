// The chain of authenticators of `l7r.auth.plugins`, in the order of
// sdk/include/qvd/authenticator.h.
#pragma once

#include "plugin/instance.hpp"
#include "plugin/login.hpp"

#include <optional>
#include <vector>

namespace qvd::plugin {

// A VM of the list, perhaps under a name of its own.
struct ListedVm {
    VmId vm;
    std::string name;  // empty: its own
};

class LentVmEntry;

class Authenticators {
public:
    template <class T>
    using Async = boost::asio::awaitable<Result<T>>;

    explicit Authenticators(std::vector<std::shared_ptr<Instance>> chain)
        : chain_(std::move(chain)) {}

    // From a typed name and password to a login with a name and session parameters; its user id is
    // 0 if no plugin knew it. denied "auth.refused" (sentence for the log, not for the client);
    // unavailable "auth.unavailable" if nobody could tell.
    Async<std::shared_ptr<Login>> identify(LoginFacts facts, Secret password, LoginRequest request,
                                           bool case_sensitive);
    // after_login of every plugin, once the password (and second factor) was right.
    Async<void> after_login(std::shared_ptr<Login> login, LoginRequest request);

    // Nothing: the default list, the user's own VMs.
    Async<std::optional<std::vector<ListedVm>>> list_vms(std::shared_ptr<Login> login,
                                                         LoginRequest request);
    // denied "vm.not_allowed".
    Async<void> allow_access(std::shared_ptr<Login> login, LoginRequest request,
                             store::VmRecord vm);
    Async<void> before_connect(std::shared_ptr<Login> login, LoginRequest request,
                               store::VmRecord vm);

private:
    using Body =
        std::function<qvd_status(const qvd_authenticator*, void*, const qvd_login*, qvd_call*)>;
    struct Answer {
        Outcome outcome;
        std::vector<ListedVm> listed;
        Secret password;
        Secret factor;
    };

    // `may_answer`: the kinds of records that the function may hand back, as a mask of Answers.
    static boost::asio::awaitable<Answer> ask(std::shared_ptr<Instance> plugin,
                                              std::shared_ptr<Login> login, LoginRequest request,
                                              unsigned may_answer, std::string_view function,
                                              Body body);
    // The VM with its properties, in the form that is lent to plugins.
    Async<std::shared_ptr<const LentVmEntry>> lend(store::VmRecord vm);
    Async<void> normalise(std::shared_ptr<Login> login, LoginRequest request);
    Async<Secret> split(std::shared_ptr<Login> login, LoginRequest request, Secret& password);
    Async<void> until_one_says_yes(std::shared_ptr<Login> login, LoginRequest request,
                                   std::shared_ptr<const Secret> secret, bool second);

    std::vector<std::shared_ptr<Instance>> chain_;
};

}  // namespace qvd::plugin
