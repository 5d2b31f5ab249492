// Finding the VM of a request, and waiting until it runs or has stopped.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"

namespace qvd::broker {

// The VM if it exists, is not blocked, is this user's to use, and, while it has one, its node is
// not blocked. not_found "vm.not_found"; denied "vm.blocked" | "vm.not_allowed"; unavailable
// "node.blocked". Writes nothing.
Async<store::VmRecord> find_vm(Context& context, VmId vm, std::shared_ptr<plugin::Login> login,
                               plugin::LoginRequest request);

// Waits until the start that was ordered has come to something. unavailable "vm.start_failed" with
// the reason; timeout "vm.start_timeout".
Async<store::VmRecord> await_running(Context& context, std::shared_ptr<Conversation> client,
                                     VmId vm, Deadline deadline);

// timeout "vm.stop_timeout".
Async<void> await_stopped(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                          Deadline deadline);

}  // namespace qvd::broker
