#include "supervisor/handover.hpp"

#include "base/text.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace qvd::supervisor {

namespace {

constexpr const char* variable = "QVD_NODE_HANDOVER_FD";
constexpr std::string_view first_line = "qvd-node handover 1";
constexpr std::size_t longest = 1U << 20U;

// One line: a word, then key=value pairs, percent-encoded.
class LineWriter {
public:
    explicit LineWriter(std::string_view word) : line_(word) {}
    LineWriter& add(std::string_view key, std::string_view value) {
        line_ += " " + std::string(key) + "=" + text::percent_encode(value);
        return *this;
    }
    LineWriter& add(std::string_view key, std::int64_t value) {
        return add(key, std::string_view(std::to_string(value)));
    }
    [[nodiscard]] std::string line() const { return line_ + "\n"; }

private:
    std::string line_;
};

struct ReadLine {
    std::string word;
    std::map<std::string, std::string> fields;

    [[nodiscard]] std::string text(const std::string& key) const {
        const auto found = fields.find(key);
        return found == fields.end() ? std::string() : found->second;
    }
    [[nodiscard]] std::int64_t number(const std::string& key) const {
        return text::to_integer(text(key)).value_or(0);
    }
    // Takes the descriptor, if it is one.
    [[nodiscard]] UniqueFd fd(const std::string& key = "fd") const {
        const auto value = text::to_integer(text(key));
        if (!value || *value < 3 || *value > 1'000'000) return {};
        const int fd = static_cast<int>(*value);
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return {};
        return UniqueFd{fd};
    }
};

ReadLine parse_line(const std::string& line) {
    ReadLine read;
    for (const std::string& piece : text::split_list(line, ' ')) {
        if (read.word.empty()) {
            read.word = piece;
            continue;
        }
        const std::size_t equals = piece.find('=');
        if (equals == std::string::npos) continue;
        if (auto value = text::percent_decode(piece.substr(equals + 1), false))
            read.fields[piece.substr(0, equals)] = std::move(*value);
    }
    return read;
}

void write_member(const Member& member, std::string& out) {
    out += LineWriter("member")
               .add("role", net::to_string(member.role))
               .add("slot", member.slot)
               .add("instance", member.instance)
               .add("pid", member.pid)
               .add("fd", member.control.get())
               .add("process", member.process.get())
               .add("generation", member.generation)
               .add("ready", member.ready ? 1 : 0)
               .add("leaving", member.leaving ? 1 : 0)
               .add("linked", member.linked_to)
               .add("load", member.alive.load)
               .add("status", member.status)
               .line();
}

Result<Member> read_member(const ReadLine& line) {
    Member member;
    const auto role = net::parse_role(line.text("role"));
    member.control = line.fd();
    member.process = line.fd("process");
    member.pid = static_cast<pid_t>(line.number("pid"));
    member.instance = line.text("instance");
    if (!role || member.pid <= 1 || member.instance.empty())
        return Error{ErrorKind::invalid, "handover.malformed", "the handover has a wrong member"};
    member.role = *role;
    member.slot = static_cast<unsigned>(line.number("slot"));
    member.generation = static_cast<unsigned>(line.number("generation"));
    member.ready = line.number("ready") != 0;
    member.leaving = line.number("leaving") != 0;
    member.linked_to = line.text("linked");
    member.alive.load = static_cast<std::uint32_t>(line.number("load"));
    member.status = line.text("status");
    return member;
}

void read_holding(const ReadLine& line, Holdings& holdings) {
    if (line.word == "pid_file") holdings.pid_file = line.fd();
    if (line.word == "commands") holdings.command_socket = line.fd();
    if (line.word == "waiting") holdings.waiting.push_back(line.fd());
    if (line.word == "setting") holdings.settings[line.text("key")] = line.text("value");
    if (line.word == "generation")
        holdings.generation = static_cast<unsigned>(line.number("number"));
    if (line.word == "lease")
        holdings.leases[line.text("cgroup")] =
            static_cast<std::uint64_t>(line.number("boottime_ms"));
    if (line.word == "listener") {
        holdings.listener = line.fd();
        holdings.listen_address = line.text("address");
    }
}

void set_one(const UniqueFd& fd, bool inherited) {
    if (fd) ::fcntl(fd.get(), F_SETFD, inherited ? 0 : FD_CLOEXEC);
}

}  // namespace

std::string write_handover(const Holdings& holdings, const std::vector<Member>& members) {
    std::string out = std::string(first_line) + "\n";
    out += LineWriter("generation").add("number", holdings.generation).line();
    out += LineWriter("pid_file").add("fd", holdings.pid_file.get()).line();
    out += LineWriter("commands").add("fd", holdings.command_socket.get()).line();
    out += LineWriter("listener")
               .add("fd", holdings.listener.get())
               .add("address", holdings.listen_address)
               .line();
    for (const UniqueFd& client : holdings.waiting)
        out += LineWriter("waiting").add("fd", client.get()).line();
    for (const auto& [key, value] : holdings.settings)
        out += LineWriter("setting").add("key", key).add("value", value).line();
    for (const auto& [cgroup, boottime_ms] : holdings.leases)
        out += LineWriter("lease")
                   .add("cgroup", cgroup)
                   .add("boottime_ms", static_cast<std::int64_t>(boottime_ms))
                   .line();
    for (const Member& member : members) write_member(member, out);
    return out;
}

Result<Handover> read_handover(std::string_view text) {
    Handover handover;
    const auto lines = text::split(text, '\n');
    if (lines.front() != first_line)
        return Error{ErrorKind::invalid, "handover.malformed",
                     "what the earlier qvd-node left is not understood"};
    for (const std::string& raw : lines) {
        const ReadLine line = parse_line(raw);
        if (line.word != "member") {
            read_holding(line, handover.holdings);
            continue;
        }
        QVD_TRY(Member member, read_member(line));
        handover.members.push_back(std::move(member));
    }
    return handover;
}

Result<UniqueFd> leave_handover(const std::string& text) {
    UniqueFd fd{::memfd_create("qvd-node-handover", 0)};
    if (!fd) return errno_error("handover.memory", "cannot make a memory file");
    for (std::size_t at = 0; at < text.size();) {
        const ssize_t written = ::write(fd.get(), text.data() + at, text.size() - at);
        if (written < 0) return errno_error("handover.memory", "cannot write a memory file");
        at += static_cast<std::size_t>(written);
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    ::setenv(variable, std::to_string(fd.get()).c_str(), 1);
    return fd;
}

Result<std::optional<Handover>> take_handover() {
    const char* const value = ::getenv(variable);  // NOLINT(concurrency-mt-unsafe): one thread
    if (value == nullptr) return std::optional<Handover>{};
    const auto number = text::to_integer(value);
    ::unsetenv(variable);  // NOLINT(concurrency-mt-unsafe): one thread
    const UniqueFd fd{number && *number >= 3 ? static_cast<int>(*number) : -1};
    std::string text;
    std::array<char, 4096> buffer{};
    while (fd && text.size() < longest) {
        const ssize_t got =
            ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
        if (got <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    QVD_TRY(Handover handover, read_handover(text));
    return std::optional<Handover>(std::move(handover));
}

void set_inherited(const Holdings& holdings, const std::vector<Member>& members, bool inherited) {
    set_one(holdings.pid_file, inherited);
    set_one(holdings.command_socket, inherited);
    set_one(holdings.listener, inherited);
    for (const UniqueFd& client : holdings.waiting) set_one(client, inherited);
    for (const Member& member : members) {
        set_one(member.control, inherited);
        set_one(member.process, inherited);
    }
}

}  // namespace qvd::supervisor
