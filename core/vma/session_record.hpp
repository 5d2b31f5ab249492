// What is kept of a session in `path.run`, so that a new agent can take it over from one that died,
// and so that scripts of the image can look.
#pragma once

#include "vma/keys.hpp"
#include "vma/x_life.hpp"

namespace qvd::vma {

struct SessionRecord {
    Phase phase = Phase::stopped;
    pid_t leader = 0;  // xinit
    std::uint64_t leader_started = 0;
    pid_t agent = 0;  // nxagent; 0: not known yet
    std::uint64_t agent_started = 0;
    uid_t uid = 0;
    off_t log_offset = 0;  // of qvd-nxagent.log: lines before it are in `phase` already
    std::string user_name;
    std::string user_home;
    std::uint64_t vm = 0;  // 0: the agent was not told
    bool was_connected = false;
};

// As properties, one key a line.
std::string encode_record(const SessionRecord& record);
Result<SessionRecord> decode_record(std::string_view text);

// Files in `path.run`: nxagent.session (the record), and as upstream has them nxagent.state
// ("connected:EPOCH") and nxagent.pid. A stopped session has none of them.
Result<void> save_record(const SessionRecord& record, const Settings& settings);
// Nothing if there is none. Errors: vma.record for one that makes no sense.
Result<std::optional<SessionRecord>> load_record(const Settings& settings);

}  // namespace qvd::vma
