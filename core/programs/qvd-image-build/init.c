/* /sbin/init of small images: starts the QVD agent and keeps it running, buries orphans, ends the
 * VM when told to. It configures nothing: in a container the node has done that already.
 *
 * Static, because it must run in an image of any distribution.
 *
 *   as process 1      SIGTERM, SIGPWR, SIGUSR1, SIGUSR2 and SIGRTMIN+3 power the VM off, SIGINT
 *                     restarts it; SIGHUP and SIGCHLD do what they always do
 *   as anything else  init 0, telinit 0, poweroff, halt, shutdown: asks process 1 to power off;
 *                     init 6, reboot: to restart
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread */

static const char* const agent = "/usr/bin/qvd-vma";

/* How long programs may take to end before they are killed, and an agent that ends at once must
 * wait for its next start. */
enum { seconds_to_end = 3, seconds_to_restart = 1 };

static void say(const char* text) {
    if (dprintf(STDERR_FILENO, "init: %s\n", text) < 0) return; /* nobody listens */
}

/* ---- the machine, as far as a container's host has not prepared it ---- */

static void mount_if_missing(const char* type, const char* folder, const char* witness) {
    if (access(witness, F_OK) == 0) return;
    (void)mkdir(folder, 0755);
    if (mount(type, folder, type, MS_NOSUID, NULL) != 0) say(strerror(errno));
}

static void raise_loopback(void) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
        request.ifr_flags |= IFF_UP;
        (void)ioctl(fd, SIOCSIFFLAGS, &request);
    }
    if (fd >= 0) close(fd);
}

/* The locks of an X server that was cut off: the number in them is another process by now, and the
 * next X server would believe that its display is taken. */
static void forget_displays(void) {
    static const char* const leftovers[] = {"/tmp/.X*-lock", "/tmp/.X11-unix/X*"};
    for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; ++i) {
        glob_t found;
        if (glob(leftovers[i], 0, NULL, &found) != 0) continue;
        for (size_t k = 0; k < found.gl_pathc; ++k) (void)unlink(found.gl_pathv[k]);
        globfree(&found);
    }
    /* X servers without privileges cannot make it themselves. */
    (void)mkdir("/tmp/.X11-unix", 01777);
    (void)chmod("/tmp/.X11-unix", 01777);
}

static void prepare(void) {
    (void)umask(022);
    mount_if_missing("proc", "/proc", "/proc/self");
    mount_if_missing("sysfs", "/sys", "/sys/kernel");
    mount_if_missing("devtmpfs", "/dev", "/dev/null");
    mount_if_missing("devpts", "/dev/pts", "/dev/pts/ptmx");
    mount_if_missing("tmpfs", "/dev/shm", "/dev/shm");
    raise_loopback();
    forget_displays();
    (void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
}

/* ---- the agent ---- */

static pid_t start_agent(void) {
    if (access(agent, X_OK) != 0) return 0;
    const pid_t pid = fork();
    if (pid != 0) return pid > 0 ? pid : 0;
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    setsid();
    execl(agent, agent, (char*)NULL);
    say(strerror(errno));
    _exit(127);
}

/* Buries whoever ended; 1 if the agent was among them. */
static int bury(pid_t agent_pid) {
    int agent_ended = 0;
    for (;;) {
        const pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid <= 0) return agent_ended;
        agent_ended |= pid == agent_pid;
    }
}

/* ---- the end ---- */

static void end_everything(const sigset_t* signals) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const time_t last = now.tv_sec + seconds_to_end;
    kill(-1, SIGTERM);
    /* Stopped programs must run to end. */
    kill(-1, SIGCONT);
    /* All of them are children or become children: none left is the end. */
    while (now.tv_sec < last) {
        (void)bury(0);
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) break;
        const struct timespec moment = {0, 100000000};
        (void)sigtimedwait(signals, NULL, &moment);
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    kill(-1, SIGKILL);
    (void)bury(0);
    sync();
}

_Noreturn static void end_machine(int restart) {
    /* In a container this ends the container only. Where the kernel refuses it, our own end does.
     */
    (void)reboot(restart ? RB_AUTOBOOT : RB_POWER_OFF);
    _exit(0);
}

_Noreturn static void run_as_first(void) {
    sigset_t signals;
    sigfillset(&signals);
    pthread_sigmask(SIG_SETMASK, &signals, NULL);
    /* Whoever started us may have ignored it: then nobody would tell us of an ended child. */
    (void)signal(SIGCHLD, SIG_DFL);
    prepare();
    pid_t agent_pid = start_agent();
    if (agent_pid == 0) say("there is no /usr/bin/qvd-vma to start");
    for (;;) {
        /* Only a missing agent is waited for by the clock. */
        const struct timespec pause = {seconds_to_restart, 0};
        const int told =
            agent_pid == 0 ? sigtimedwait(&signals, NULL, &pause) : sigwaitinfo(&signals, NULL);
        const int paused = told < 0 && errno == EAGAIN;
        if (told == SIGTERM || told == SIGPWR || told == SIGUSR1 || told == SIGUSR2 ||
            told == SIGINT || told == SIGRTMIN + 3) {
            end_everything(&signals);
            end_machine(told == SIGINT);
        }
        if (bury(agent_pid)) agent_pid = 0;
        if (agent_pid == 0 && paused) agent_pid = start_agent();
    }
}

/* ---- called as a command ---- */

static int ask_first(int argc, char** argv) {
    const char* slash = strrchr(argv[0], '/');
    const char* name = slash != NULL ? slash + 1 : argv[0];
    int request = SIGTERM;
    if (strcmp(name, "init") == 0 || strcmp(name, "telinit") == 0) {
        const char* level = argc > 1 ? argv[1] : "";
        if (strcmp(level, "6") == 0) {
            request = SIGINT;
        } else if (strcmp(level, "0") != 0) {
            say("usage: init 0 (power off) or init 6 (restart)");
            return 2;
        }
    } else if (strcmp(name, "reboot") == 0 ||
               (strcmp(name, "shutdown") == 0 && argc > 1 && strcmp(argv[1], "-r") == 0)) {
        request = SIGINT;
    }
    if (kill(1, request) == 0) return 0;
    say(strerror(errno));
    return 1;
}

int main(int argc, char** argv) {
    if (getpid() == 1) run_as_first();
    return ask_first(argc, argv);
}

/* NOLINTEND(concurrency-mt-unsafe) */
