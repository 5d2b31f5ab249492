// Which node a stopped VM starts on, and the order to start it there.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"

#include <functional>

namespace qvd::broker {

// Asked once, before anything is ordered, with the node that the VM runs on or is to start on. What
// it refuses is not started.
using Consent = std::function<Async<void>(store::VmRecord)>;

// Orders the start of a VM that is stopped (or failed, paused, suspended); does nothing for one
// that runs or is starting; waits for one that is stopping. unavailable "placement.none": no node
// runs, is unblocked and has the memory; "placement.refused": the balancer wants none of them.
Async<void> place(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                  Deadline deadline, Consent consent);

// The order itself: the balancer chooses among the nodes that have room now, and a lost race is run
// again. Also what an administrator's `vm start` does, for no client. Nothing is ordered for a
// client that is gone when the balancer has chosen.
Async<void> order_start(store::Store& store, std::shared_ptr<plugin::Balancer> balancer,
                        store::VmRecord record, std::shared_ptr<Conversation> client = nullptr,
                        Consent consent = nullptr);

// The same of a start that waits for a node which died before it took it (stranded.hpp): conflict
// "vm.not_stranded".
Async<void> order_elsewhere(store::Store& store, std::shared_ptr<plugin::Balancer> balancer,
                            store::VmRecord record);

}  // namespace qvd::broker
