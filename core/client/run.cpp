#include "client/run.hpp"

#include "base/log.hpp"
#include "client/child.hpp"
#include "client/dialogue.hpp"
#include "client/display.hpp"
#include "client/screen.hpp"

#include <chrono>
#include <utility>

namespace qvd::client {
namespace {

Parameters session_parameters(const Settings& settings, const Screen& screen) {
    return {
        {"qvd.client.os", "linux"},
        {"qvd.client.link", settings.link},
        {"qvd.client.geometry", settings.geometry.empty() ? screen.geometry : settings.geometry},
        {"qvd.client.keyboard", screen.keyboard},
        {"qvd.client.fullscreen", settings.fullscreen ? "1" : "0"},
        {"qvd.client.nxagent.extra_args", settings.nxagent_options}};
}

// A session that never showed anything is a failure, whoever ended it.
Result<void> verdict_on(RelayEnd end, const Display& display) {
    if (end == RelayEnd::server_broke)
        return Error{ErrorKind::unavailable, "network.broken",
                     "the connection to the server broke"};
    if (end == RelayEnd::display_closed) return display.verdict();
    if (end == RelayEnd::server_closed && !display.verdict().ok())
        return Error{ErrorKind::unavailable, "server.ended",
                     "the server ended the session before the desktop was shown"};
    return {};
}

Result<void> show_desktop(Session session, const OfferedVm& vm, const Settings& settings,
                          Report& report, const StopSignal& stop) {
    using namespace std::chrono_literals;
    const SteadyClock clock;
    QVD_TRY(Display display,
            Display::start({settings.nxproxy_command, settings.display, settings.nxproxy_options,
                            settings.nxproxy_arguments}));
    QVD_TRY(const UniqueFd local, display.accept({Deadline::in(clock, 20s), stop.fd()}));
    report.connected(vm, display.pid());
    const RelayEnd end = relay(session.connection, local.get(), session.first_bytes, stop.fd());
    // Told to stop, we do not wait for nxproxy to notice.
    display.end(end == RelayEnd::stopped ? 0s : 3s);
    QVD_CHECK(verdict_on(end, display));
    report.ended(end);
    return {};
}

}  // namespace

Result<Secret> find_password(const Options& options, const Environment& environment,
                             const Settings& settings, Person& person, int stop_fd) {
    Secret password = options.password.value_or(Secret{});
    const auto found = environment.find("QVDPASSWORD");
    if (options.password_on_stdin) {
        QVD_TRY(password, read_secret_line(STDIN_FILENO, stop_fd));
    } else if (password.empty() && found != environment.end()) {
        password = Secret{found->second};
    } else if (password.empty() && person.present()) {
        QVD_TRY(password,
                person.ask_hidden("Password of " + settings.user + " on " + settings.host + ": "));
    } else if (password.empty() && ::isatty(STDIN_FILENO) == 0) {
        QVD_TRY(password, read_secret_line(STDIN_FILENO, stop_fd));
    }
    if (password.empty())
        return Error{ErrorKind::invalid, "usage.no_password",
                     "no password: give it in QVDPASSWORD, on standard input or with -w"};
    return password;
}

Result<void> run(const Settings& settings, Secret password, Person& person, Report& report,
                 const StopSignal& stop) {
    // What would fail after the login fails before it.
    Screen screen;
    if (!settings.list_only) {
        QVD_CHECK(find_program(settings.nxproxy_command));
        QVD_TRY(screen, examine_screen(settings.display));
    }
    QVD_TRY(const SslContext context, make_tls_context(settings.tls));
    CertificateJudge judge{settings.certificates, person};
    Dialogue dialogue{{settings.host, settings.port, settings.use_tls},
                      {settings.user, std::move(password)},
                      context.get(),
                      judge,
                      stop.fd()};
    const Progress progress = [&report](const std::string& text) { report.progress(text); };

    QVD_TRY(const std::vector<OfferedVm> vms, dialogue.list_vms());
    if (settings.list_only) {
        report.vms(vms);
        return {};
    }
    QVD_TRY(const OfferedVm vm, choose_vm(vms, settings.choice, person));
    if (settings.restart) {
        QVD_CHECK(dialogue.stop_vm(vm.id, progress));
    }
    QVD_TRY(Session session,
            dialogue.connect_to_vm(vm.id, session_parameters(settings, screen), progress));
    return show_desktop(std::move(session), vm, settings, report, stop);
}

}  // namespace qvd::client
