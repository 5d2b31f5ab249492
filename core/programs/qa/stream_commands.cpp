// The ways into a running VM: its console, its screen, its ssh server.
#include "base/program.hpp"
#include "base/text.hpp"
#include "client/relay.hpp"
#include "commands.hpp"
#include "local_door.hpp"
#include "node_access.hpp"
#include "terminal_stream.hpp"

#include <cstdlib>
#include <iostream>
#include <optional>

namespace qvd::qa {

namespace {

using net::ControlVerb;

Error broken_stream(VmId vm) {
    return {ErrorKind::unavailable, "network.broken",
            "the connection to VM " + vm.text() + " broke"};
}

Result<int> console(const CommandLine& line) {
    QVD_TRY(const auto access, NodeAccess::to_vm(line));
    QVD_TRY(auto stream, access->stream(ControlVerb::console));
    const bool person = ::isatty(STDIN_FILENO) == 1;
    if (person && !line.quiet)
        std::cerr << "The console of VM " << access->vm().text() << "; Ctrl-] leaves it.\n";
    ConsoleEnd end{};
    {
        const RawTerminal raw;
        end = carry_console(stream, raw.is_there(), access->stop_fd());
    }
    if (end == ConsoleEnd::broke) return broken_stream(access->vm());
    if (person && !line.quiet && end == ConsoleEnd::vm_closed)
        std::cerr << "VM " << access->vm().text() << " closed its console.\n";
    return end == ConsoleEnd::stopped ? 1 : 0;
}

// Until the program ends, or, without one, until qa is told to stop: each connection at the door
// gets a stream of its own, one after the other.
int serve(const LocalDoor& door, NodeAccess& access, ControlVerb verb, admin::NodeStream first,
          Foreground* program) {
    std::optional<admin::NodeStream> stream(std::move(first));
    const int ends = program == nullptr ? -1 : program->ended_fd();
    bool stopped = false;
    for (;;) {
        const UniqueFd local = door.accept(ends, access.stop_fd());
        if (!local) break;
        if (!stream) {
            auto next = access.stream(verb);
            if (!next.ok()) {
                std::cerr << "Error: " << next.error().sentence() << "\n";
                continue;
            }
            stream = std::move(next).value();
        }
        const auto end =
            client::relay(stream->connection, local.get(), stream->first_bytes, access.stop_fd());
        stopped = end == client::RelayEnd::stopped;
        stream.reset();
        if (stopped) break;
    }
    return program == nullptr ? 0 : program->wait(stopped);
}

// First `ours`, then what was said behind "--"; of an option given twice ssh takes the first.
std::vector<std::string> ssh_arguments(const LocalDoor& door, VmId vm,
                                       const std::vector<std::string>& words) {
    std::vector<std::string> arguments{"ssh", "-p", std::to_string(door.port()), "-o",
                                       "HostKeyAlias=qvd-vm-" + vm.text()};
    // Options first, a command after the host.
    std::size_t at = 0;
    for (; at < words.size() && words[at].starts_with('-'); ++at) {
        arguments.push_back(words[at]);
        constexpr std::string_view with_value = "BbcDEeFIiJLlmOopQRSWw";
        if (words[at].size() == 2 && with_value.find(words[at][1]) != std::string_view::npos &&
            at + 1 < words.size())
            arguments.push_back(words[++at]);
    }
    // Who is at the other end the node has said; an image's host key is every VM's.
    for (const char* const option :
         {"StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"}) {
        arguments.emplace_back("-o");
        arguments.emplace_back(option);
    }
    arguments.emplace_back("127.0.0.1");
    arguments.insert(arguments.end(), words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
    return arguments;
}

Result<int> ssh(const CommandLine& line) {
    if (!program::is_there("ssh"))
        return Error{ErrorKind::not_found, "program.missing",
                     "there is no ssh here (package openssh-client)"};
    QVD_TRY(const auto access, NodeAccess::to_vm(line));
    QVD_TRY(auto stream, access->stream(ControlVerb::ssh));
    QVD_TRY(const LocalDoor door, LocalDoor::open(0));
    QVD_TRY(auto program, Foreground::start(ssh_arguments(door, access->vm(), line.words)));
    return serve(door, *access, ControlVerb::ssh, std::move(stream), &program);
}

Result<std::uint16_t> port_of(const CommandLine& line) {
    const std::string given = parameter(line, "port", "0");
    const auto port = text::to_integer(given);
    if (!port || *port < 0 || *port > 65535)
        return Error{ErrorKind::invalid, "usage", "port= is a number from 0 to 65535"};
    return static_cast<std::uint16_t>(*port);
}

// A viewer, unless a port was asked for, there is none, or there is no screen to show it on.
bool starts_viewer(const CommandLine& line) {
    const char* const display = std::getenv("DISPLAY");  // NOLINT(concurrency-mt-unsafe)
    return !line.parameters.contains("port") && display != nullptr && *display != '\0' &&
           program::is_there("vncviewer");
}

Result<int> vnc(const CommandLine& line) {
    QVD_TRY(const std::uint16_t port, port_of(line));
    QVD_TRY(const auto access, NodeAccess::to_vm(line));
    QVD_TRY(auto stream, access->stream(ControlVerb::vnc));
    QVD_TRY(const LocalDoor door, LocalDoor::open(port));
    const std::string place = "127.0.0.1::" + std::to_string(door.port());
    if (!starts_viewer(line)) {
        std::cout << "VNC of VM " << access->vm().text() << " at " << place
                  << ", for you alone, until Ctrl-C" << std::endl;
        return serve(door, *access, ControlVerb::vnc, std::move(stream), nullptr);
    }
    std::vector<std::string> arguments{"vncviewer"};
    arguments.insert(arguments.end(), line.words.begin(), line.words.end());
    arguments.push_back(place);
    QVD_TRY(auto program, Foreground::start(std::move(arguments)));
    return serve(door, *access, ControlVerb::vnc, std::move(stream), &program);
}

Command at_terminal(std::string_view name, std::string_view purpose,
                    std::vector<Parameter> parameters, unsigned takes,
                    std::function<Result<int>(const CommandLine&)> run) {
    Command command{"vm", name, purpose, std::move(parameters), takes | filters | a_node, {}, {}};
    command.at_terminal = std::move(run);
    return command;
}

}  // namespace

// {"vm", "console", ...}, {"vm", "ssh", ...}, {"vm", "vnc", ...}
std::vector<Command> stream_commands() {
    return {
        at_terminal("console", "Opens a running VM's console; Ctrl-] leaves it.", {}, 0, console),
        at_terminal("ssh", "Opens an ssh session into a running VM; ssh's options go behind --.",
                    {}, words, ssh),
        at_terminal("vnc", "Shows a running VM's screen, or offers it at a port of this machine.",
                    {{"port", Need::optional, "offer it at this port of 127.0.0.1; 0: a free one"}},
                    words, vnc),
    };
}

}  // namespace qvd::qa
