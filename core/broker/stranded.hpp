// What was ordered to a node which died before it did it.
#pragma once

#include "broker/context.hpp"

#include <set>

namespace qvd::broker {

// Sees to all of the farm's: those that a client waits for, and what `qa` ordered. A start goes to
// another node; any other order is answered, as the VM is nowhere else. Every broker does so, and
// the database lets one win.
class StrandedOrders {
public:
    explicit StrandedOrders(Context& context) : context_(context) {}

    // Until stop().
    boost::asio::awaitable<void> keep_looking();
    void stop();

private:
    Async<void> look();
    Async<void> look_for_starts();
    Async<void> look_for_others();
    // Whether it is still there.
    Async<bool> see_to_start(VmId vm);

    Context& context_;
    // Starts that nobody could take at the look before, and VMs with another order. They are given
    // up at the second look only: after an outage of the database every node seems dead until it
    // has reported.
    std::set<VmId> hopeless_;
    std::set<VmId> unanswered_;
    Wakeup stopped_;
    bool stopping_ = false;
};

}  // namespace qvd::broker
