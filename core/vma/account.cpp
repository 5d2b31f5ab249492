#include "vma/account.hpp"

#include "base/text.hpp"

#include <grp.h>
#include <pwd.h>

#include <array>

namespace qvd::vma {

namespace {

constexpr Milliseconds patience{20'000};
constexpr uid_t first_user_id = 1000;

std::vector<gid_t> groups_of(const passwd& entry) {
    std::vector<gid_t> groups(256);
    auto count = static_cast<int>(groups.size());
    if (::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0) count = 0;
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

// In the child.
std::string look_up(const std::string& name) {
    const passwd* const entry = ::getpwnam(name.c_str());  // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) return {};
    return encode_account({entry->pw_name, entry->pw_dir, entry->pw_shell, entry->pw_uid,
                           entry->pw_gid, groups_of(*entry)});
}

}  // namespace

std::string encode_account(const Account& account) {
    std::string text = account.name + "\n" + account.home + "\n" + account.shell + "\n" +
                       std::to_string(account.uid) + "\n" + std::to_string(account.gid) + "\n";
    for (const gid_t group : account.groups) text += std::to_string(group) + " ";
    return text;
}

std::optional<Account> decode_account(std::string_view text) {
    const std::vector<std::string> lines = text::split(text, '\n');
    if (lines.size() != 6) return std::nullopt;
    const auto uid = text::to_integer(lines[3]);
    const auto gid = text::to_integer(lines[4]);
    if (!uid || !gid) return std::nullopt;
    Account account{
        lines[0], lines[1], lines[2], static_cast<uid_t>(*uid), static_cast<gid_t>(*gid), {}};
    for (const std::string& group : text::split_list(lines[5], ' '))
        account.groups.push_back(static_cast<gid_t>(text::to_integer(group).value_or(*gid)));
    return account;
}

Task<Result<std::optional<Account>>> find_account(Processes& processes, std::string name) {
    auto asking = processes.ask([name] { return look_up(name); }, patience);
    QVD_CO_TRY(const std::string said, co_await std::move(asking));
    using Found = std::optional<Account>;
    if (said.empty()) co_return Found{};
    Found account = decode_account(said);
    if (!account)
        co_return Error{ErrorKind::internal, "vma.question",
                        "the account " + text::quoted(name) + " has an unusable entry"};
    co_return account;
}

Task<Result<bool>> is_free_user_id(Processes& processes, uid_t uid) {
    if (uid < first_user_id) co_return false;
    auto asking = processes.ask(
        [uid] {
            const bool taken = ::getpwuid(uid) != nullptr;  // NOLINT(concurrency-mt-unsafe)
            return std::string(taken ? "taken" : "free");
        },
        patience);
    QVD_CO_TRY(const std::string said, co_await std::move(asking));
    co_return said == "free";
}

}  // namespace qvd::vma
