// What one image of the supervisor leaves to the next when it re-executes itself: open descriptors
// and the table of its children, written into a memory file that is inherited.
#pragma once

#include "supervisor/crew.hpp"

#include <map>
#include <string>
#include <vector>

namespace qvd::supervisor {

// What the supervisor holds besides its children.
struct Holdings {
    UniqueFd pid_file;
    UniqueFd command_socket;
    UniqueFd listener;
    std::string listen_address;     // "*:8443", as asked for
    std::vector<UniqueFd> waiting;  // who wants to know when the reload is done
    std::map<std::string, std::string, std::less<>> settings;  // from the database, by the broker
    std::map<std::string, std::uint64_t> leases;               // cgroup → CLOCK_BOOTTIME ms
    unsigned generation = 1;
};

struct Handover {
    Holdings holdings;
    std::vector<Member> members;
};

// The lines that describe both; what a reader does not know it skips, so that versions may differ.
std::string write_handover(const Holdings& holdings, const std::vector<Member>& members);
// Takes the descriptors named in the text, which must be open. Errors: handover.malformed.
Result<Handover> read_handover(std::string_view text);

// A memory file with `text`, inherited by exec; its number goes into the environment.
Result<UniqueFd> leave_handover(const std::string& text);
// Nothing if this process is not a re-executed one.
Result<std::optional<Handover>> take_handover();

// Lets every descriptor of both survive exec, or not.
void set_inherited(const Holdings& holdings, const std::vector<Member>& members, bool inherited);

}  // namespace qvd::supervisor
