// qvdclient: shows a user's virtual desktop.
#include "base/file.hpp"
#include "client/keys.hpp"
#include "client/run.hpp"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <span>

namespace {

using namespace qvd;
using namespace qvd::client;

// Takes the password out of the environment as far as that goes: no child and no /proc shows it.
Environment take_environment() {
    Environment environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        char* equals = std::strchr(*entry, '=');
        if (equals == nullptr) continue;
        const std::string name(*entry, equals);
        environment[name] = equals + 1;
        if (name == "QVDPASSWORD") std::memset(equals + 1, '\0', std::strlen(equals + 1));
    }
    return environment;
}

// No log is no reason not to show a desktop.
void open_log(const Settings& settings) {
    log::Target target = settings.log;
    const auto folder = std::filesystem::path(target.file).parent_path().string();
    if (!folder.empty()) (void)file::make_folders(folder, 0700);
    if (!log::open(target).ok()) log::set_level(log::Level::off);
    for (const std::string& warning : settings.warnings) log::warn("client.config", {}, warning);
}

Result<void> start(const Options& options, const Environment& environment, Report& report) {
    QVD_TRY(const Settings settings, read_settings(options, environment, default_client_file));
    open_log(settings);
    QVD_TRY(const StopSignal stop, StopSignal::install());
    Terminal person{!settings.json, stop.fd()};
    QVD_TRY(Secret password, find_password(options, environment, settings, person, stop.fd()));
    return run(settings, std::move(password), person, report, stop);
}

int run_program(std::span<char*> arguments) {
    const Environment environment = take_environment();
    const Result<Options> options = parse_options(arguments);
    const bool json = options.ok() && options->json;
    Report report{json, std::cout, std::cerr};
    log::set_level(log::Level::off);
    if (!options.ok()) return report.failed(options.error());
    if (options->help || options->version) {
        std::cout << (options->help ? usage() : "qvdclient " QVD_VERSION "\n");
        return 0;
    }
    const Result<void> done = start(*options, environment, report);
    return done.ok() ? 0 : report.failed(done.error());
}

}  // namespace

int main(int argc, char** argv) {
    (void)std::signal(SIGPIPE, SIG_IGN);  // cannot fail for this signal
    try {
        return run_program(std::span<char*>(argv, static_cast<std::size_t>(argc)).subspan(1));
    } catch (const std::exception& failure) {
        std::cerr << "qvdclient: internal error: " << failure.what() << '\n';
        return 1;
    }
}
