#include "vma/vnc.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "vma/account.hpp"

#include <unistd.h>

namespace qvd::vma {

namespace {

HttpAnswer refusal(int status, const std::string& sentence) {
    HttpAnswer answer{status, "text/plain", sentence + "\r\n", {}, {}};
    if (status == 426) answer.upgrade = "VNC";
    return answer;
}

Command server_command(const Settings& settings, const Account& account) {
    Command command;
    command.argv = {settings.x11vnc, "-display", ":" + std::to_string(settings.display), "-inetd"};
    command.argv.insert(command.argv.end(), settings.x11vnc_args.begin(),
                        settings.x11vnc_args.end());
    command.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=" + settings.lang,
                           "HOME=" + account.home, "USER=" + account.name,
                           "LOGNAME=" + account.name};
    command.identity = Identity{account.uid, account.gid, account.groups};
    command.folder = account.home;
    command.output_file = settings.log_folder + "/qvd-x11vnc.log";
    return command;
}

std::function<void(UniqueFd)> server_on(Processes& processes, Command command) {
    return [&processes, command = std::move(command)](UniqueFd connection) {
        const auto started = processes.serve(command, connection.get());
        if (!started.ok()) {
            log::error("vma.vnc.failed", {{"code", started.error().code()}},
                       started.error().sentence());
            return;
        }
        processes.on_exit(*started,
                          [](int) { log::info("vma.vnc.ended", {}, "nobody watches any more"); });
    };
}

}  // namespace

Task<HttpAnswer> show_display(Processes& processes, const Settings& settings,
                              const Session& session, std::string upgrade) {
    if (!text::equals_ignoring_case(upgrade, "VNC"))
        co_return refusal(426, "vnc_connect wants Connection: Upgrade and Upgrade: VNC");
    if (!session.has_display())
        co_return refusal(503, "there is no session to show: it is " +
                                   std::string(agent::to_string(session.state())));
    if (::access(settings.x11vnc.c_str(), X_OK) != 0)
        co_return refusal(503, "this VM has no VNC server: command.x11vnc = " + settings.x11vnc);
    auto finding = find_account(processes, session.user());
    const Result<std::optional<Account>> account = co_await std::move(finding);
    if (!account.ok() || !*account)
        co_return refusal(503, "the account of the session's user is not to be found");
    log::info("vma.vnc.begun", {{"user", session.user()}}, "somebody watches the session");
    HttpAnswer answer{101, "", "the display is on its way", "VNC", {}};
    answer.take_over = server_on(processes, server_command(settings, **account));
    co_return answer;
}

}  // namespace qvd::vma
