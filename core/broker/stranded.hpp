// Starts that were ordered to a node which died before it took them.
#pragma once

#include "broker/context.hpp"

#include <set>

namespace qvd::broker {

// Whether its start is ordered, and no node has taken it yet.
[[nodiscard]] bool awaits_its_node(const VmRuntime& runtime);

// Orders such a start to another node. conflict "vm.not_stranded": there is none, or its node
// lives; unavailable, as placement has it: no other node takes it, and "vm.checkpoint_away": it
// goes back to a checkpoint that only the dead node has.
Async<void> order_elsewhere(Context& context, VmId vm);

// Sees to all of the farm's: a start whose client waits is not waited for by his broker alone, and
// what `qa vm start` ordered has nobody else. Every broker does so, and the database lets one win.
class StrandedStarts {
public:
    explicit StrandedStarts(Context& context) : context_(context) {}

    // Until stop().
    boost::asio::awaitable<void> keep_looking();
    void stop();

private:
    Async<void> look();
    // Whether it is still there.
    Async<bool> see_to(VmId vm);

    Context& context_;
    // Nobody could take them at the look before. They are given up at the second look only: after
    // an outage of the database every node seems dead until it has reported.
    std::set<VmId> hopeless_;
    Wakeup stopped_;
    bool stopping_ = false;
};

}  // namespace qvd::broker
