// The keys of vma.conf, and what they say as plain values.
#pragma once

#include "base/clock.hpp"
#include "config/keys.hpp"
#include "config/view.hpp"

#include <sys/types.h>

#include <map>
#include <memory>

namespace qvd::vma {

inline constexpr const char* default_file = "/etc/qvd/vma.conf";

namespace keys {

using config::Key;
using config::List;
using config::Path;
using config::Range;
using Seconds = std::chrono::seconds;

inline constexpr Key<std::int64_t> port{"internal.vm.port.vma",          "3030", "",
                                        "the TCP port; 0: any free one", 0,      Range{0, 65535}};
inline constexpr Key<std::string> address{"vma.address", "*", "",
                                          "the address to listen on; *: all of them"};
inline constexpr Key<Path> token_file{
    "vma.token.file", "/etc/qvd/agent.token", "",
    "while this file exists, callers must send its content as bearer token"};
inline constexpr Key<Path> pid_file{"vma.pid_file", "${path.run}/vma.pid", "",
                                    "where the agent's process id is written"};

inline constexpr Key<bool> audio{"vma.audio.enable", "0", "", "sound from the VM to the client"};
inline constexpr Key<bool> printing{"vma.printing.enable", "0", "",
                                    "the client's print server as a port in the VM"};
inline constexpr Key<bool> slave{"vma.slave.enable", "0", "", "the channel for shared folders"};
inline constexpr Key<std::string> slave_command{"vma.slave.command",
                                                "${path.qvd.bin}/qvd-vma-slaveserver", "",
                                                "the program behind that channel; empty: none"};

inline constexpr Key<std::string> keyboard{"vma.default.client.keyboard", "pc105/en", "",
                                           "model/layout for clients that say nothing"};
inline constexpr Key<std::string> link{"vma.default.client.link", "adsl", "",
                                       "the link's kind for clients that say nothing"};
inline constexpr Key<std::string> geometry{"vma.default.client.geometry", "", "",
                                           "screen size for clients that say nothing"};
inline constexpr Key<std::string> fullscreen{"vma.default.client.fullscreen", "", "",
                                             "0 or 1 for clients that say nothing"};
inline constexpr Key<std::string> client_os{"vma.default.client.os", "", "",
                                            "operating system of clients that say nothing"};
inline constexpr Key<std::string> lang{"vma.default.lang", "en_US.UTF-8", "",
                                       "LANG where the image's own locale files do not set it"};

inline constexpr Key<std::string> home_drive{
    "vma.user.home.drive", "/dev/vdb", "",
    "the disk for homes; partitioned and formatted only if it is blank"};
inline constexpr Key<std::string> home_fs{"vma.user.home.fs", "ext4", "", "its file system"};
inline constexpr Key<Path> home_path{"vma.user.home.path", "/home", "",
                                     "the folder of the homes, where that disk is mounted"};
inline constexpr Key<std::string> user_name{"vma.user.default.name", "qvd", "",
                                            "the user when the node names none"};
inline constexpr Key<std::string> user_groups{"vma.user.default.groups", "", "",
                                              "further groups of a new user, comma-separated"};
inline constexpr Key<Path> user_shell{"vma.user.shell", "/bin/bash", "", "shell of a new user"};
inline constexpr Key<std::string> user_umask{"vma.user.umask", "0022", "", "umask of the session"};

inline constexpr Key<Seconds> hook_timeout{
    "vma.hook.timeout", "30", "seconds", "how long one hook may run before it is killed", 0,
    Range{1, 3600}};
inline constexpr Key<List> hook_plugins{"vma.hook.plugins", "", "",
                                        "VmaHook plugins to load, in their order"};
// Executable hooks: on_action.connect and so on.
inline constexpr Key<std::string> on_action{"vma.on_action.*", config::unset, "",
                                            "program to run when an action begins"};
inline constexpr Key<std::string> on_state{"vma.on_state.*", config::unset, "",
                                           "program to run when a state is reached"};
inline constexpr Key<std::string> on_provisioning{"vma.on_provisioning.*", config::unset, "",
                                                  "program that takes a step of provisioning"};

inline constexpr Key<Path> xinit{"command.xinit", "/usr/bin/xinit", "", "xinit"};
inline constexpr Key<Path> nxagent{"command.nxagent", "/usr/bin/nxagent", "", "nxagent"};
inline constexpr Key<std::string> nxagent_args{"command.nxagent.args.extra", "", "",
                                               "further arguments, separated by blanks"};
inline constexpr Key<Path> x_session{"command.x-session", "/etc/X11/Xsession", "",
                                     "the session script"};
inline constexpr Key<std::string> x_session_args{"command.x-session.args.extra", "", "",
                                                 "further arguments, separated by blanks"};
inline constexpr Key<std::string> nxdiag{
    "command.nxdiag", "", "", "the program for nxagent's dialogs; empty: the agent itself"};
inline constexpr Key<Path> x11vnc{"command.x11vnc", "/usr/bin/x11vnc", "",
                                  "the VNC server that shows a session to administrators"};
inline constexpr Key<std::string> x11vnc_args{"command.x11vnc.args.extra", "", "",
                                              "further arguments, separated by blanks"};
inline constexpr Key<std::string> useradd{"command.useradd", "/usr/sbin/useradd", "", "useradd"};
inline constexpr Key<std::string> userdel{"command.userdel", "/usr/sbin/userdel", "", "userdel"};
inline constexpr Key<std::string> groupadd{"command.groupadd", "/usr/sbin/groupadd", "",
                                           "groupadd"};
inline constexpr Key<std::string> groupdel{"command.groupdel", "/usr/sbin/groupdel", "",
                                           "groupdel"};
inline constexpr Key<std::string> poweroff{
    "command.poweroff", "", "",
    "the command that ends the VM, with blanks between its words; empty: what the image has"};

inline constexpr Key<std::int64_t> display{
    "internal.nxagent.display", "100",         "", "the X display; the NX port is 4000 more",
    config::internal,           Range{1, 9999}};
inline constexpr Key<Seconds> limit_starting{"internal.nxagent.timeout.initiating",
                                             "20",
                                             "seconds",
                                             "nxagent must listen after this long",
                                             config::internal,
                                             Range{1, 600}};
inline constexpr Key<Seconds> limit_listening{
    "internal.nxagent.timeout.listening",
    "10",
    "seconds",
    "a client must come after this long, and be served after twice that",
    config::internal,
    Range{1, 600}};
inline constexpr Key<Seconds> limit_suspending{"internal.nxagent.timeout.suspending",
                                               "40",
                                               "seconds",
                                               "a suspension must be done by then, or the session "
                                               "ends with its work; more than the 20 s that it "
                                               "takes nxagent to give up a client that hangs",
                                               config::internal,
                                               Range{1, 600}};
inline constexpr Key<Seconds> limit_stopping{"internal.nxagent.timeout.stopping",
                                             "20",
                                             "seconds",
                                             "then the session is killed",
                                             config::internal,
                                             Range{1, 600}};
inline constexpr Key<Path> nxagent_config{"internal.vma.nxagent.config", "${path.run}/nxagent.conf",
                                          "", "nxagent's options file", config::internal};
inline constexpr Key<Path> slave_config{"internal.vma.slave.config", "${path.run}/slave.conf", "",
                                        "where the key of the slave channel is kept",
                                        config::internal};

}  // namespace keys

// Everything that qvd-vma reads.
std::shared_ptr<const config::KeySet> key_set();

// vma.conf as values; times in milliseconds.
struct Settings {
    std::string address;
    std::uint16_t port = 0;
    std::string token_file, pid_file, run_folder, log_folder, plugin_folder;

    bool audio = false, printing = false, slave = false;
    std::string slave_command;
    // keyboard, link, geometry, fullscreen, os
    std::map<std::string, std::string, std::less<>> client_defaults;
    std::string lang;

    std::string home_drive, home_fs, home_path;
    std::string user_name, user_groups, user_shell;
    mode_t user_umask = 022;

    Milliseconds hook_timeout{30'000};
    std::vector<std::string> hook_plugins;
    // By full key: "vma.on_action.connect".
    std::map<std::string, std::string, std::less<>> hooks;
    std::vector<std::string> warnings;  // about keys that do nothing

    std::string xinit, nxagent, x_session, nxdiag, x11vnc, useradd, userdel, groupadd, groupdel;
    std::vector<std::string> nxagent_args, x_session_args, x11vnc_args, poweroff;

    int display = 100;
    Milliseconds limit_starting{20'000}, limit_listening{10'000}, limit_suspending{40'000},
        limit_stopping{20'000};
    std::string nxagent_config, slave_config;

    [[nodiscard]] std::uint16_t nx_port() const {
        return static_cast<std::uint16_t>(4000 + display);
    }
};

// Errors: config.invalid with every finding; config.value for a wrong umask or hook name.
Result<Settings> read_settings(const config::View& view);

}  // namespace qvd::vma
