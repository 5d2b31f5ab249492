// A node for one hypervisor backend: the core's own event loop, workers, processes and calls, with
// no database and no other plugin.
#pragma once

#include "base/event_loop.hpp"
#include "levels.hpp"
#include "plugin/host.hpp"
#include "plugin/hypervisor.hpp"
#include "trial_plan.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace qvd::check {

// Something is not as it must be: the sentence is the finding.
class Fault : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class TrialNode {
public:
    TrialNode(const TrialPlan& plan, std::shared_ptr<const plugin::Library> library,
              const Settings& given);
    TrialNode(const TrialNode&) = delete;
    TrialNode& operator=(const TrialNode&) = delete;
    ~TrialNode() = default;  // as the end of a core: the VMs run on

    // As hkd begins. Throws Fault. What survey() found.
    std::vector<plugin::VmStatus> begin(std::vector<std::string> keep_uuids);
    [[nodiscard]] plugin::Hypervisor& backend() { return *backend_; }

    // Turns the loop until it is done.
    template <class T>
    Result<T> ask(boost::asio::awaitable<Result<T>> operation);
    // The same; an error is a Fault that begins with `what`.
    template <class T>
    T must(const std::string& what, boost::asio::awaitable<Result<T>> operation);
    void must(const std::string& what, boost::asio::awaitable<Result<void>> operation);

    // The first report of this VM's end since the last call, waited for.
    std::optional<plugin::VmStatus> end_of(const std::string& uuid, std::chrono::seconds patience);
    void forget_ends() { ends_.clear(); }
    // Asks, turning the loop meanwhile, until it is true.
    bool wait_until(const std::function<bool()>& condition, std::chrono::seconds patience);

private:
    EventLoop loop_;
    std::unique_ptr<plugin::Host> host_;
    std::shared_ptr<const plugin::Library> library_;
    std::unique_ptr<plugin::Hypervisor> backend_;
    std::vector<plugin::VmStatus> ends_;
};

template <class T>
Result<T> TrialNode::ask(boost::asio::awaitable<Result<T>> operation) {
    std::optional<Result<T>> result;
    boost::asio::co_spawn(
        loop_,
        [](boost::asio::awaitable<Result<T>> work,
           std::optional<Result<T>>& into) -> boost::asio::awaitable<void> {
            into.emplace(co_await std::move(work));
        }(std::move(operation), result),
        [](const std::exception_ptr& broken) {
            if (broken) std::rethrow_exception(broken);
        });
    const auto work = boost::asio::make_work_guard(loop_);
    loop_.restart();
    while (!result) loop_.run_one_for(std::chrono::milliseconds(20));
    return std::move(*result);
}

template <class T>
T TrialNode::must(const std::string& what, boost::asio::awaitable<Result<T>> operation) {
    Result<T> result = ask(std::move(operation));
    if (!result.ok()) throw Fault(what + " fails: " + result.error().sentence());
    return std::move(result).value();
}

}  // namespace qvd::check
