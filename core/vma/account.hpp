// The session user's account.
#pragma once

#include "vma/keys.hpp"
#include "vma/process.hpp"

namespace qvd::vma {

struct Account {
    std::string name;
    std::string home;
    std::string shell;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};

// The account called `name`, asked of the system's name services in a child, because they may be
// slow and load libraries; nothing if there is none. Errors: vma.question.
Task<Result<std::optional<Account>>> find_account(Processes& processes, std::string name);

// How the child's answer looks, for the tests.
std::string encode_account(const Account& account);
std::optional<Account> decode_account(std::string_view text);

// Whether a home of this uid could belong to a new account: no one has it, and it is no system
// account's.
Task<Result<bool>> is_free_user_id(Processes& processes, uid_t uid);

}  // namespace qvd::vma
