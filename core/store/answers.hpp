// The refusals of the store, once for all its implementations: kind, stable code, sentence.
#pragma once

#include "base/result.hpp"
#include "model/vm.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace qvd::store::answers {

// ErrorKind::unavailable "store.down".
Error down(std::string_view why);
// "vm.not_found": there is no vm 12.
Error missing(std::string_view what, std::int64_t id);
// conflict "node.alive", of a host that reported `seconds` ago.
Error alive(std::string_view host, std::int64_t seconds);
Error conflict(std::string code, std::string sentence);
// conflict "vm.no_command": it is not there any more.
Error no_command(VmId vm);
// conflict "vm.state", "vm.order_pending".
Error not_orderable(VmId vm, VmCommand command, VmState state, int phase);
Error order_pending(VmId vm);
// conflict "vm.not_stranded".
Error not_stranded(VmId vm);
// unavailable "node.unavailable", of a host that is `what`, and "node.full".
Error node_unavailable(std::string_view host, std::string_view what);
Error node_full(std::string_view host);
// conflict "vm.no_retry".
Error no_checkpoint(VmId vm);
Error no_checkpoint_image(VmId vm);
Error no_retry(VmId vm);

// What a violated constraint of the schema means, by its name there: "users_login_key" is
// conflict "user.exists". Of a foreign key `deleting` says which side was changed. A constraint
// without an answer of its own is "store.constraint".
Error violated(std::string_view constraint, bool deleting = false);

}  // namespace qvd::store::answers
