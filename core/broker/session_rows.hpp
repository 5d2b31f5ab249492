// The rows of this node's sessions compared with who really holds them, and the look at the
// database once a second under what is announced.
#pragma once

#include "base/wakeup.hpp"
#include "broker/context.hpp"
#include "broker/worker_link.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace qvd::broker {

// Whether a process of this node runs under that instance name, whoever started it.
bool instance_runs(const std::string& instance);

class SessionRows {
public:
    using Workers = std::function<std::vector<std::shared_ptr<WorkerLink>>()>;
    using Runs = std::function<bool(const std::string& instance)>;

    SessionRows(Context& context, Workers workers, Runs runs);

    // Both until stop().
    boost::asio::awaitable<void> keep_comparing();
    boost::asio::awaitable<void> keep_looking();
    void stop();

    // A worker has said what it holds, or has gone.
    void compare_soon();
    // A session is to end.
    void look_soon();
    // Another broker does this from now on; ours to look after are only the sessions that we hold.
    void leave_comparing() { comparing_ = false; }

private:
    Async<void> compare();
    [[nodiscard]] std::set<SessionId> lost_among(const std::vector<Session>& rows) const;
    Async<void> look();
    Async<NodeId> own_node();

    Context& context_;
    Workers workers_;
    Runs runs_;
    Wakeup compare_;
    Wakeup look_;
    bool compare_due_ = true;
    bool look_due_ = false;
    bool comparing_ = true;
    bool stopped_ = false;
    std::optional<NodeId> node_;
    std::set<SessionId> strangers_;  // to end, held by nobody here, and compared already
};

}  // namespace qvd::broker
