#include "vma/session_record.hpp"

#include "base/file.hpp"
#include "base/text.hpp"

#include <unistd.h>

#include <ctime>

namespace qvd::vma {

namespace {

std::string path_of(const Settings& settings, std::string_view name) {
    return settings.run_folder + "/nxagent." + std::string(name);
}

// A value that no line break can end early.
std::string escaped(std::string_view text) {
    return text::percent_encode(text);
}

using Fields = std::map<std::string, std::string, std::less<>>;

template <class T>
bool take(const Fields& fields, std::string_view name, T& value) {
    const auto found = fields.find(name);
    if (found == fields.end()) return false;
    const auto number = text::to_integer(found->second);
    if (!number || *number < 0) return false;
    value = static_cast<T>(*number);
    return true;
}

bool take_text(const Fields& fields, std::string_view name, std::string& value) {
    const auto found = fields.find(name);
    const auto decoded =
        found == fields.end() ? std::nullopt : text::percent_decode(found->second, false);
    if (decoded) value = *decoded;
    return decoded.has_value();
}

}  // namespace

std::string encode_record(const SessionRecord& record) {
    return "phase = " + std::string(to_string(record.phase)) +
           "\nleader = " + std::to_string(record.leader) +
           "\nleader.started = " + std::to_string(record.leader_started) +
           "\nagent = " + std::to_string(record.agent) +
           "\nagent.started = " + std::to_string(record.agent_started) +
           "\nuid = " + std::to_string(record.uid) +
           "\nlog.offset = " + std::to_string(record.log_offset) +
           "\nuser.name = " + escaped(record.user_name) +
           "\nuser.home = " + escaped(record.user_home) + "\nvm = " + std::to_string(record.vm) +
           "\nwas_connected = " + (record.was_connected ? "1" : "0") + "\n";
}

Result<SessionRecord> decode_record(std::string_view text) {
    Fields fields;
    for (const std::string& line : text::split(text, '\n'))
        if (const std::size_t equals = line.find('='); equals != std::string::npos)
            fields[std::string(text::trim(line.substr(0, equals)))] =
                text::trim(line.substr(equals + 1));
    SessionRecord record;
    const auto phase = parse_phase(fields["phase"]);
    if (!phase || !take(fields, "leader", record.leader) ||
        !take(fields, "leader.started", record.leader_started) ||
        !take(fields, "agent", record.agent) ||
        !take(fields, "agent.started", record.agent_started) || !take(fields, "uid", record.uid) ||
        !take(fields, "log.offset", record.log_offset) ||
        !take(fields, "was_connected", record.was_connected) ||
        !take_text(fields, "user.name", record.user_name) ||
        !take_text(fields, "user.home", record.user_home))
        return Error{ErrorKind::invalid, "vma.record", "the record of the last session is damaged"};
    // An agent before this one may not have written it.
    if (!take(fields, "vm", record.vm)) record.vm = 0;
    record.phase = *phase;
    return record;
}

Result<void> save_record(const SessionRecord& record, const Settings& settings) {
    if (record.phase == Phase::stopped) {
        for (const char* name : {"session", "state", "pid"})
            ::unlink(path_of(settings, name).c_str());
        return {};
    }
    QVD_CHECK(file::write_atomic(path_of(settings, "session"), encode_record(record), 0600));
    const std::string state = std::string(agent::to_string(shown_as(record.phase))) + ":" +
                              std::to_string(std::time(nullptr)) + "\n";
    QVD_CHECK(file::write_atomic(path_of(settings, "state"), state, 0644));
    if (record.agent == 0) return {};
    return file::write_atomic(path_of(settings, "pid"), std::to_string(record.agent) + "\n", 0644);
}

Result<std::optional<SessionRecord>> load_record(const Settings& settings) {
    using Found = std::optional<SessionRecord>;
    const std::string path = path_of(settings, "session");
    if (::access(path.c_str(), F_OK) != 0) return Found{};
    QVD_TRY(const std::string text, file::read(path, 4096));
    QVD_TRY(SessionRecord record, decode_record(text));
    return Found{std::move(record)};
}

}  // namespace qvd::vma
