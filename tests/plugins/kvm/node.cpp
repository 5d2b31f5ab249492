#include "node.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace qvd::test {

namespace fs = std::filesystem;

namespace {

constexpr int skipped = 77;
constexpr const char* libvirt_socket = "/run/libvirt/libvirt-sock";

int exit_code(int status) {
    if (WIFSIGNALED(status)) std::fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The first process of the new namespace takes up orphans at once, as libvirtd expects of an init;
// when the test ends, the kernel ends whatever is left in there.
[[noreturn]] void be_init(pid_t test) {
    for (int status = 0;;)
        if (::wait(&status) == test) ::_exit(exit_code(status));
}

void move_to_own_namespaces() {
    if (::unshare(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS) != 0)
        skip_all("this machine allows no namespaces of our own");
    const pid_t init = ::fork();
    if (init > 0) {
        int status = 0;
        ::waitpid(init, &status, 0);
        ::_exit(exit_code(status));
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) skip_all("this machine mounts no proc");
    const pid_t test = ::fork();
    if (test > 0) be_init(test);
}

void own_folder(const char* path) {
    fs::create_directories(path);
    if (::mount("tmpfs", path, "tmpfs", 0, "mode=755") != 0)
        skip_all("this machine cannot mount a tmpfs");
}

void configure_qemu(const std::string& user) {
    write_file("/etc/libvirt/qemu.conf",
               "user = \"" + user + "\"\ngroup = \"" + user +
                   "\"\nsecurity_driver = \"none\"\nstdio_handler = \"file\"\n"
                   "cgroup_controllers = [ ]\nnamespaces = [ ]\nremember_owner = 0\n");
}

// libvirt asks QEMU anew at each start where /dev/kvm is there and its user may not open it.
void let_all_open_kvm() {
    struct stat found {};
    if (::stat("/dev/kvm", &found) != 0) return;
    ::mknod("/mnt/kvm", S_IFCHR | 0666U, found.st_rdev);
    ::chmod("/mnt/kvm", 0666);
    ::mount("/mnt/kvm", "/dev/kvm", nullptr, MS_BIND, nullptr);
}

constexpr const char* libvirtd_conf =
    "auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n"
    "log_outputs = \"3:file:/var/log/libvirt/libvirtd.log\"\n";

// Before main(): once for the whole process, while it has one thread.
struct Node {
    Node() {
        if (::geteuid() != 0) skip_all("virtual machines need root");
        for (const char* program :
             {"/usr/sbin/libvirtd", "/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img"})
            if (!exists(program)) skip_all(std::string("there is no ") + program);
        const std::string make = "python3 " QVD_TEST_MAKE_GUEST " " QVD_TEST_GUEST;
        const int made = std::system(make.c_str());
        if (WEXITSTATUS(made) == skipped) ::_exit(skipped);
        if (made != 0) std::abort();
        move_to_own_namespaces();
        for (const char* folder : {"/etc/libvirt", "/run/libvirt", "/var/lib/libvirt",
                                   "/var/cache/libvirt", "/var/log/libvirt", "/mnt"})
            own_folder(folder);
        configure_qemu("root");
        let_all_open_kvm();
        write_file("/etc/libvirt/libvirtd.conf", libvirtd_conf);
        if (std::system("ip link set lo up && ip link add qvdtest0 type bridge &&"
                        " ip addr add 10.91.8.1/24 dev qvdtest0 && ip link set qvdtest0 up") != 0)
            skip_all("this machine cannot make a bridge");
    }
};
const Node node;

bool answers(const char* path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    ::close(fd);
    return connected;
}

}  // namespace

// ---- libvirtd -----------------------------------------------------------------------------------

void Libvirtd::start() {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::execl("/usr/sbin/libvirtd", "libvirtd", "-f", "/etc/libvirt/libvirtd.conf", "-p",
                "/run/libvirt/libvirtd.pid", nullptr);
        ::_exit(127);
    }
    pid_ = pid;
    if (!eventually([] { return answers(libvirt_socket); }))
        throw std::runtime_error("libvirtd does not begin: " +
                                 read_file("/var/log/libvirt/libvirtd.log"));
}

void Libvirtd::kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

void Libvirtd::hang() const {
    ::kill(pid_, SIGSTOP);
}

void Libvirtd::go_on() const {
    ::kill(pid_, SIGCONT);
}

QemuUser::QemuUser(const std::string& name) {
    configure_qemu(name);
}

QemuUser::~QemuUser() {
    configure_qemu("root");
}

pid_t qemu_of(const std::string& domain) {
    const std::string pid = read_file("/run/libvirt/qemu/" + domain + ".pid");
    return static_cast<pid_t>(std::strtol(pid.c_str(), nullptr, 10));
}

std::string guest_kernel() {
    return QVD_TEST_GUEST "/vmlinux";
}

std::string guest_initrd() {
    return QVD_TEST_GUEST "/initrd.gz";
}

std::string bridge_name() {
    return "qvdtest0";
}

std::string output_of(const std::string& command) {
    std::string output;
    FILE* const pipe = ::popen(command.c_str(), "r");
    char bytes[4096];
    for (std::size_t n = 0; (n = std::fread(bytes, 1, sizeof bytes, pipe)) > 0;)
        output.append(bytes, n);
    ::pclose(pipe);
    return output;
}

}  // namespace qvd::test
