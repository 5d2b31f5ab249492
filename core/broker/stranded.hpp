// Starts that were ordered to a node which died before it took them.
#pragma once

#include "broker/context.hpp"

#include <set>

namespace qvd::broker {

// Sees to all of the farm's: those that a client waits for, and what `qa vm start` ordered. Every
// broker does so, and the database lets one win.
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
