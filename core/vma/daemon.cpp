#include "vma/daemon.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "config/logging.hpp"
#include "vma/agent.hpp"

#include <sys/prctl.h>

#include <csignal>
#include <filesystem>

namespace qvd::vma {

Result<Configuration> read_configuration(const std::string& path) {
    Configuration configuration;
    if (!path.empty() || ::access(default_file, F_OK) == 0) {
        QVD_TRY(configuration.file, config::Properties::read(path.empty() ? default_file : path));
    }
    configuration.view = std::make_shared<const config::View>(key_set(), configuration.file);
    QVD_TRY(configuration.settings, read_settings(*configuration.view));
    return configuration;
}

Result<void> check_plugins(const Configuration& configuration) {
    Loop loop;
    HookPlugins plugins(loop, configuration.settings, configuration.file);
    return plugins.load();
}

namespace {

Result<void> open_log(const config::View& view) {
    QVD_TRY(log::Target target, config::log_target(view, "qvd-vma", ""));
    if (!target.file.empty()) {
        const std::string folder = std::filesystem::path(target.file).parent_path().string();
        if (!folder.empty()) QVD_CHECK(file::make_folders(folder));
    }
    return log::open(target);
}

void report_findings(const config::View& view, const Settings& settings) {
    for (const config::Finding& finding : view.findings())
        log::warn("config.warning", {{"key", finding.key}}, finding.text());
    for (const std::string& warning : settings.warnings) log::warn("config.warning", {}, warning);
}

Result<void> write_pid_file(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    if (!folder.empty()) QVD_CHECK(file::make_folders(folder));
    return file::write_atomic(path, std::to_string(::getpid()) + "\n", 0644);
}

}  // namespace

Result<void> run_agent(const Configuration& configuration, const std::function<void()>& ready) {
    const Settings& settings = configuration.settings;
    QVD_CHECK(open_log(*configuration.view));
    report_findings(*configuration.view, settings);
    // Whatever a hook or a session leaves behind ends up here and is reaped.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for this signal
    Loop loop{SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    Processes processes(loop);
    HookPlugins plugins(loop, settings, configuration.file);
    QVD_CHECK(plugins.load());
    Agent agent(loop, processes, settings, plugins);
    QVD_CHECK(agent.start());
    if (!settings.pid_file.empty()) QVD_CHECK(write_pid_file(settings.pid_file));
    for (const int signal : {SIGTERM, SIGINT}) loop.on_signal(signal, [&loop] { loop.stop(); });
    loop.on_signal(SIGHUP, [] {
        const Result<void> reopened = log::reopen();
        if (!reopened.ok()) log::warn("log.reopen", {}, reopened.error().sentence());
    });
    ready();
    loop.run();
    log::info("vma.ended", {}, "");
    if (!settings.pid_file.empty()) ::unlink(settings.pid_file.c_str());
    return {};
}

}  // namespace qvd::vma
