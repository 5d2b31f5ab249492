// qvd-lxc-container KEEPER_PID: runs one container with liblxc in the foreground and ends with it.
// The order comes on standard input; how it went is said on descriptor 3: `status=N` as waitpid()
// has it, or `sentence=...` if the container did not begin. It dies with its keeper, and the
// container's init, by liblxc, with it.
#include "common/files.hpp"
#include "container/configuration.hpp"

#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string>

namespace {

using qvd::lxc::Fields;

constexpr int report_fd = 3;
constexpr std::size_t order_limit = 131072;

void report(std::string_view key, std::string_view value) {
    Fields fields;
    fields.add(key, value);
    const std::string text = fields.text();
    [[maybe_unused]] const ssize_t ignored = ::write(report_fd, text.data(), text.size());
}

// What liblxc wrote of its first trouble: the others follow from it.
std::string first_error(const std::string& log_path) {
    std::istringstream lines(qvd::lxc::read_file(log_path).value_or(std::string()));
    for (std::string line; std::getline(lines, line);) {
        // "lxc NAME TIME ERROR    module - file.c:function:line - [reason - ]text"
        const std::size_t at = line.find(" ERROR ");
        if (at == std::string::npos) continue;
        const std::size_t place = line.find(" - ", at);
        const std::size_t text = line.find(" - ", place == std::string::npos ? at : place + 3);
        return "liblxc: " +
               (text == std::string::npos ? line.substr(at + 7) : line.substr(text + 3));
    }
    return "liblxc gave no reason";
}

int run(const Fields& order, const std::string& log_path) {
    const std::string name = order.get("container");
    lxc_container* container = lxc_container_new(name.c_str(), order.get("run").c_str());
    if (container == nullptr) {
        report("sentence", "liblxc cannot make a container in " + order.get("run"));
        return 1;
    }
    container->clear_config(container);
    for (const auto& [key, value] : qvd::lxc::configuration(order)) {
        if (container->set_config_item(container, key.c_str(), value.c_str())) continue;
        report("sentence", "liblxc refuses the setting \"" + key + " = " + value + "\"");
        return 1;
    }
    // For lxc-info, lxc-attach, lxc-console and their like: `-P RUN -n NAME`.
    const std::string folder = order.get("run") + "/" + name;
    ::mkdir(folder.c_str(), 0700);
    // Read back, because only a container that was read from a file knows its name everywhere:
    // without one, liblxc takes the folder of all for its AppArmor profile.
    if (!container->save_config(container, nullptr)) {
        ::rmdir(folder.c_str());
    } else {
        container->clear_config(container);
        if (!container->load_config(container, nullptr)) {
            report("sentence", "liblxc does not take what it wrote itself in " + folder);
            return 1;
        }
    }
    container->want_daemonize(container, false);
    const bool began = container->start(container, 0, nullptr);
    if (began) {
        report("status", std::to_string(container->error_num));
    } else {
        report("sentence", first_error(log_path));
    }
    lxc_container_put(container);
    return began ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const Fields order = Fields::parse(qvd::lxc::read_all(0, order_limit).value_or(std::string()));
    const auto keeper = qvd::lxc::parse_number(argc == 2 ? argv[1] : "");
    if (!keeper || order.get("container").empty()) return 2;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != *keeper) return 2;  // it died before it could take us along
    ::fcntl(report_fd, F_SETFD, FD_CLOEXEC);
    ::umask(022);
    // Where liblxc finds newuidmap it asks that, which knows /etc/subuid only; root maps ids
    // itself.
    if (!order.get("ids").empty()) ::setenv("PATH", "/usr/sbin:/sbin", 1);
    const std::string log_path = order.get("run") + "/" + order.get("vm") + ".lxc.log";
    ::unlink(log_path.c_str());
    const std::string name = order.get("container");
    const std::string run_path = order.get("run");
    lxc_log log{name.c_str(), run_path.c_str(),    log_path.c_str(),
                "ERROR",      "qvd-lxc-container", true};
    // liblxc makes the file as its umask allows, others than root have no business with it.
    ::umask(077);
    lxc_log_init(&log);
    ::umask(022);
    return run(order, log_path);
}
