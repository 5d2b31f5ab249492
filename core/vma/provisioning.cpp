#include "vma/provisioning.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "vma/home_drive.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace qvd::vma {

namespace {

std::string value_of(const agent::Parameters& session, std::string_view name) {
    const auto found = session.find(name);
    return found == session.end() ? std::string{} : found->second;
}

Error bad(std::string_view name, std::string_view value) {
    return {ErrorKind::invalid, "vma.parameter",
            "the parameter " + std::string(name) + " cannot be " + text::quoted(value, 80)};
}

// What passwd, group and a command line can take; useradd has its own, stricter opinion.
bool is_account_name(std::string_view name) {
    return !name.empty() && name.size() <= 255 && name.front() != '-' && name != "." &&
           name != ".." && name.find_first_of(":,/\\ \t\n\r\"'$`") == std::string_view::npos &&
           std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

bool is_plain_path(std::string_view path) {
    return path.starts_with('/') && path.find(':') == std::string_view::npos &&
           path.find('\n') == std::string_view::npos &&
           (std::string(path) + "/").find("/../") == std::string::npos;
}

Result<std::optional<unsigned>> number_of(const agent::Parameters& session, std::string_view name) {
    using Number = std::optional<unsigned>;
    const std::string text = value_of(session, name);
    if (text.empty()) return Number{};
    const auto number = text::to_integer(text);
    // 0 is root, and the last one stands for "none" in system calls.
    if (!number || *number < 1 || *number >= 0xFFFF'FFFFLL) return bad(name, text);
    return Number{static_cast<unsigned>(*number)};
}

bool exists(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0;
}

// A home that outlived its account (its own disk, a fresh system) keeps its owner.
Task<Result<void>> keep_owner_of_home(Processes& processes, WantedUser& user) {
    struct stat home {};
    if (user.uid || ::stat(user.home.c_str(), &home) != 0) co_return Result<void>{};
    auto asking = is_free_user_id(processes, home.st_uid);
    QVD_CO_TRY(const bool free, co_await std::move(asking));
    if (!free) co_return Result<void>{};
    user.uid = home.st_uid;
    if (!user.gid && home.st_gid >= 1000) user.gid = home.st_gid;
    co_return Result<void>{};
}

}  // namespace

Result<WantedUser> wanted_user(agent::Parameters& session, const Settings& settings) {
    WantedUser user;
    user.name = value_of(session, "qvd.vm.user.name");
    if (user.name.empty()) user.name = settings.user_name;
    if (!is_account_name(user.name)) return bad("qvd.vm.user.name", user.name);
    user.group = value_of(session, "qvd.vm.user.group");
    if (user.group.empty()) user.group = user.name;
    if (!is_account_name(user.group)) return bad("qvd.vm.user.group", user.group);
    user.groups = value_of(session, "qvd.vm.user.groups");
    if (user.groups.empty()) user.groups = settings.user_groups;
    const std::vector<std::string> groups = text::split_list(user.groups);
    if (!std::ranges::all_of(groups, is_account_name))
        return bad("qvd.vm.user.groups", user.groups);
    user.groups = text::join(groups, ",");
    user.home = value_of(session, "qvd.vm.user.home");
    if (user.home.empty()) user.home = settings.home_path + "/" + user.name;
    if (!is_plain_path(user.home)) return bad("qvd.vm.user.home", user.home);
    QVD_TRY(user.uid, number_of(session, "qvd.vm.user.uid"));
    QVD_TRY(user.gid, number_of(session, "qvd.vm.user.gid"));
    session["qvd.vm.user.name"] = user.name;
    session["qvd.vm.user.groups"] = user.groups;
    session["qvd.vm.user.home"] = user.home;
    return user;
}

std::vector<std::string> groupadd_arguments(const WantedUser& user, const Settings& settings) {
    std::vector<std::string> argv{settings.groupadd};
    if (user.gid) argv.insert(argv.end(), {"-g", std::to_string(*user.gid)});
    argv.push_back(user.group);
    return argv;
}

std::vector<std::string> useradd_arguments(const WantedUser& user, const Settings& settings) {
    std::vector<std::string> argv{settings.useradd,   "-m", "-d", user.home, "-g", user.group, "-s",
                                  settings.user_shell};
    if (!user.groups.empty()) argv.insert(argv.end(), {"-G", user.groups});
    if (user.uid) argv.insert(argv.end(), {"-u", std::to_string(*user.uid)});
    argv.push_back(user.name);
    return argv;
}

Task<Result<Account>> Provisioning::ensure(agent::Parameters& session) {
    QVD_CO_TRY(const WantedUser user, wanted_user(session, settings_));
    auto home = ensure_home(user, session);
    QVD_CO_CHECK(co_await std::move(home));
    auto first = find_account(processes_, user.name);
    QVD_CO_TRY(auto account, co_await std::move(first));
    if (!account) {
        auto adding = add_account(user, session);
        QVD_CO_CHECK(co_await std::move(adding));
        auto again = find_account(processes_, user.name);
        QVD_CO_TRY(account, co_await std::move(again));
    }
    if (!account)
        co_return Error{ErrorKind::unavailable, "vma.account",
                        "there is still no account " + text::quoted(user.name) +
                            " after vma.on_provisioning.add_user"};
    if (account->uid == 0)
        co_return Error{ErrorKind::denied, "vma.account",
                        "sessions are not run as " + text::quoted(user.name) + ", whose uid is 0"};
    session["qvd.vm.user.home"] = account->home;
    co_return std::move(*account);
}

Task<Result<void>> Provisioning::ensure_home(const WantedUser& user, agent::Parameters& session) {
    if (exists(user.home)) co_return Result<void>{};
    auto hook = hooks_.run(hook::mount_home, session, agent::XState::provisioning);
    QVD_CO_TRY(const bool done, co_await std::move(hook));
    if (done) co_return Result<void>{};
    auto mounting = mount_home_drive(processes_, settings_);
    QVD_CO_CHECK(co_await std::move(mounting));
    QVD_CO_CHECK(file::make_folders(settings_.home_path));
    co_return Result<void>{};
}

Task<Result<void>> Provisioning::add_account(WantedUser user, agent::Parameters& session) {
    auto hook = hooks_.run(hook::add_user, session, agent::XState::provisioning);
    QVD_CO_TRY(const bool done, co_await std::move(hook));
    bool group_is_ours = false;
    if (!done) {
        auto looking = keep_owner_of_home(processes_, user);
        QVD_CO_CHECK(co_await std::move(looking));
        auto grouping = run(groupadd_arguments(user, settings_), "vma.account");
        const Result<void> grouped = co_await std::move(grouping);
        group_is_ours = grouped.ok();
        if (!grouped.ok())  // most often: it exists
            log::debug("vma.account.group", {{"group", user.group}}, grouped.error().sentence());
        auto adding = run(useradd_arguments(user, settings_), "vma.account");
        const Result<void> added = co_await std::move(adding);
        if (!added.ok()) {
            auto undoing = undo(user, group_is_ours);
            co_await std::move(undoing);
            co_return added.error();
        }
    }
    auto after = hooks_.run(hook::after_add_user, session, agent::XState::provisioning);
    const Result<bool> content = co_await std::move(after);
    if (!content.ok()) {
        // Otherwise the next attempt would find an account that nobody finished.
        auto undoing = undo(user, group_is_ours);
        co_await std::move(undoing);
        co_return content.error();
    }
    log::info("vma.account.made", {{"user", user.name}, {"home", user.home}}, "");
    co_return Result<void>{};
}

Task<Result<void>> Provisioning::run(std::vector<std::string> argv, std::string_view code) {
    const std::string program = argv.front();
    if (::access(program.c_str(), X_OK) != 0)
        co_return Error{ErrorKind::unsupported, std::string(code),
                        "the image has no " + program +
                            ": install it, or set vma.on_provisioning.add_user to make accounts"};
    Command command;
    command.argv = std::move(argv);
    auto running = processes_.run(std::move(command));
    QVD_CO_TRY(const Outcome outcome, co_await std::move(running));
    if (!outcome.ok())
        co_return Error{ErrorKind::unavailable, std::string(code), outcome.sentence(program)};
    co_return Result<void>{};
}

Task<void> Provisioning::undo(const WantedUser& user, bool with_group) {
    std::vector<std::string> removing_user{settings_.userdel, user.name};
    auto user_gone = run(std::move(removing_user), "vma.account");
    const Result<void> removed = co_await std::move(user_gone);
    if (!removed.ok())
        log::debug("vma.account.undo", {{"user", user.name}}, removed.error().sentence());
    if (!with_group) co_return;
    std::vector<std::string> removing_group{settings_.groupdel, user.group};
    auto group_gone = run(std::move(removing_group), "vma.account");
    const Result<void> ungrouped = co_await std::move(group_gone);
    if (!ungrouped.ok())
        log::debug("vma.account.undo", {{"group", user.group}}, ungrouped.error().sentence());
}

}  // namespace qvd::vma
