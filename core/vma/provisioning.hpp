// A home and an account for the session user, made when they are missing.
#pragma once

#include "vma/account.hpp"
#include "vma/hooks.hpp"

namespace qvd::vma {

// What the session parameters ask for.
struct WantedUser {
    std::string name, group, groups, home;
    std::optional<uid_t> uid;
    std::optional<gid_t> gid;
};

// From qvd.vm.user.* and the defaults; writes what it filled in (name, groups, home) back to
// `session`. Errors: vma.parameter for names, numbers or paths that no account can have.
Result<WantedUser> wanted_user(agent::Parameters& session, const Settings& settings);

// The arguments of groupadd and useradd.
std::vector<std::string> groupadd_arguments(const WantedUser& user, const Settings& settings);
std::vector<std::string> useradd_arguments(const WantedUser& user, const Settings& settings);

class Provisioning {
public:
    Provisioning(Processes& processes, Hooks& hooks, const Settings& settings)
        : processes_(processes), hooks_(hooks), settings_(settings) {}

    // The account to run the session as, made if it is missing, together with its home; undone if
    // making it fails half-way. Errors: vma.parameter, vma.hook.*, vma.account, vma.home.
    Task<Result<Account>> ensure(agent::Parameters& session);

private:
    Task<Result<void>> ensure_home(const WantedUser& user, agent::Parameters& session);
    Task<Result<void>> add_account(WantedUser user, agent::Parameters& session);
    Task<Result<void>> run(std::vector<std::string> argv, std::string_view code);
    Task<void> undo(const WantedUser& user, bool with_group);

    Processes& processes_;
    Hooks& hooks_;
    const Settings& settings_;
};

}  // namespace qvd::vma
