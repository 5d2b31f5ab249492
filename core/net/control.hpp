// What may be asked of a node: the one list of verbs of its control protocol, whether they come in
// at path.run/control.sock or, from an operator, as an upgrade at /qvd/admin.
//
// One request is one verb. A request is a GET of one of the paths below; the answer is a document,
// or, of the verbs that open a stream, "101" and then the stream's bytes until either side ends.
#pragma once

#include "base/id.hpp"
#include "base/result.hpp"
#include "net/frames.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qvd::net {

// The number travels: new ones go to the end.
enum class ControlVerb : std::uint8_t {
    status,   // /v1/status
    vms,      // /v1/vms
    plugins,  // /v1/plugins
    metrics,  // /metrics
    log,      // /v1/vm/ID/log
    console,  // /v1/vm/ID/console: the VM's terminal
    vnc,      // /v1/vm/ID/vnc: its screen
    ssh,      // /v1/vm/ID/ssh: its port 22
    failure,  // /v1/vm/ID/failure: what it said last before it failed
    storage,  // /v1/storage: what lies on the node's storage
    collect,  // /v1/storage/collect?dry_run=&age=&di=: removes what nobody needs of that
};

// Of an upgrade at /qvd/admin, and of a stream at the control socket.
inline constexpr std::string_view control_protocol = "QVD-Admin/1.0";
inline constexpr std::string_view admin_path = "/qvd/admin";

std::string_view to_string(ControlVerb verb);
// From the number of a frame; nothing for one that a newer build knows.
std::optional<ControlVerb> control_verb(std::uint8_t number);
// Opens a stream.
bool is_stream(ControlVerb verb);

struct ControlRequest {
    ControlVerb verb = ControlVerb::status;
    VmId vm;             // of verbs about a VM; 0 for others
    Headers parameters;  // of the query, decoded
};

// Of a target without admin_path: "/v1/vm/7/log?lines=20". At most 16 parameters of 256 bytes.
// not_found "control.target", invalid "control.query".
Result<ControlRequest> parse_control_target(std::string_view target);
// The path that means this verb; of a VM's, `vm` is its id.
std::string control_target(ControlVerb verb, VmId vm = {});

}  // namespace qvd::net
