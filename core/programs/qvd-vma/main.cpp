// qvd-vma: the agent that runs as root in every VM.
#include "base/unique_fd.hpp"
#include "vma/daemon.hpp"
#include "vma/nxdiag.hpp"

#include <fcntl.h>
#include <getopt.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr const char* version = QVD_VERSION;

constexpr const char* usage =
    "Usage: qvd-vma [OPTION]...\n"
    "The QVD agent: starts and watches the desktop session of the virtual machine it runs in.\n"
    "\n"
    "  -c, --config FILE   read FILE instead of /etc/qvd/vma.conf\n"
    "      --daemon        go to the background once calls are answered\n"
    "      --check-config  say what is wrong with the configuration, and end\n"
    "  -h, --help          show this text, and end\n"
    "      --version       show the version, and end\n"
    "\n"
    "Exit status: 0 all is well, 1 the agent could not start, 2 the command line or the\n"
    "configuration is wrong. SIGHUP opens the log file anew; SIGTERM ends the agent, and the\n"
    "session goes on until the next agent takes it over.\n";

struct Options {
    std::string config;
    bool daemon = false;
    bool check = false;
};

// Nothing: the answer has been given, with `status`.
std::optional<Options> parse_options(int argc, char** argv, int& status) {
    static const std::array<option, 6> known{{{"config", required_argument, nullptr, 'c'},
                                              {"daemon", no_argument, nullptr, 'b'},
                                              {"check-config", no_argument, nullptr, 'k'},
                                              {"help", no_argument, nullptr, 'h'},
                                              {"version", no_argument, nullptr, 'v'},
                                              {nullptr, 0, nullptr, 0}}};
    Options options;
    int letter = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread
    while ((letter = ::getopt_long(argc, argv, "c:h", known.data(), nullptr)) != -1) {
        switch (letter) {
            case 'c':
                options.config = optarg;
                break;
            case 'b':
                options.daemon = true;
                break;
            case 'k':
                options.check = true;
                break;
            case 'h':
                status = std::fputs(usage, stdout) < 0 ? 1 : 0;
                return std::nullopt;
            case 'v':
                status = std::printf("qvd-vma %s\n", version) < 0 ? 1 : 0;
                return std::nullopt;
            default:
                status = 2;
                return std::nullopt;
        }
    }
    if (optind == argc) return options;
    (void)std::fprintf(stderr, "qvd-vma: unexpected argument '%s'; see qvd-vma --help\n",
                       argv[optind]);
    status = 2;
    return std::nullopt;
}

int complain(const qvd::Error& error, int status) {
    (void)std::fprintf(stderr, "qvd-vma: %s\n", error.sentence().c_str());
    return status;
}

int check(const qvd::vma::Configuration& configuration) {
    for (const auto& finding : configuration.view->findings())
        (void)std::printf("warning: %s\n", finding.text().c_str());
    for (const std::string& warning : configuration.settings.warnings)
        (void)std::printf("warning: %s\n", warning.c_str());
    const auto plugins = qvd::vma::check_plugins(configuration);
    if (!plugins.ok()) return complain(plugins.error(), 2);
    return std::puts("the configuration is good") < 0 ? 1 : 0;
}

// NOLINTBEGIN(concurrency-mt-unsafe): there is one thread until the agent runs
// In the parent: waits until the background process is ready or has ended, and ends with its
// status. In the child: where to say that it is ready.
qvd::UniqueFd go_to_background() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::exit(1);
    qvd::UniqueFd wait{ends[0]};
    qvd::UniqueFd tell{ends[1]};
    const pid_t child = ::fork();
    if (child < 0) std::exit(1);
    if (child == 0) {
        ::setsid();
        return tell;
    }
    tell.reset();
    char told = 0;
    if (::read(wait.get(), &told, 1) == 1) std::exit(0);
    int status = 0;
    ::waitpid(child, &status, 0);
    std::exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
// NOLINTEND(concurrency-mt-unsafe)

void leave_terminal(int tell) {
    const qvd::UniqueFd nowhere{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        ::dup2(nowhere.get(), stream);
    [[maybe_unused]] const ssize_t told = ::write(tell, "1", 1);
}

int run(int argc, char** argv) {
    int status = 0;
    const auto options = parse_options(argc, argv, status);
    if (!options) return status;
    const auto configuration = qvd::vma::read_configuration(options->config);
    if (!configuration.ok()) return complain(configuration.error(), 2);
    if (options->check) return check(*configuration);
    if (::geteuid() != 0) {
        (void)std::fputs("qvd-vma: only root can run the agent: it starts sessions for users\n",
                         stderr);
        return 1;
    }
    qvd::UniqueFd tell;
    if (options->daemon) tell = go_to_background();
    const auto ran = qvd::vma::run_agent(*configuration, [&tell] {
        if (tell) leave_terminal(tell.get());
        tell.reset();
    });
    return ran.ok() ? 0 : complain(ran.error(), 1);
}

}  // namespace

int main(int argc, char** argv) {
    if (qvd::vma::answer_dialog(argc, argv)) return 0;
    try {
        return run(argc, argv);
    } catch (const std::exception& problem) {
        (void)std::fprintf(stderr, "qvd-vma: %s\n", problem.what());
        return 1;
    }
}
