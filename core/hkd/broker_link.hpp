// The agents, by way of the broker: calls over the socketpair that the supervisor hands to both.
#pragma once

#include "base/unique_fd.hpp"
#include "hkd/agent_calls.hpp"
#include "hkd/schedule.hpp"
#include "net/frame_channel.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <map>
#include <memory>

namespace qvd::hkd {

// Belongs to one event loop; it and `schedule` outlive all calls.
class BrokerLink final : public AgentCalls {
public:
    BrokerLink(boost::asio::any_io_executor executor, Schedule& schedule)
        : executor_(std::move(executor)), schedule_(schedule) {}

    // What is to be done with an operator's call; the channel takes the answer.
    using OnControl =
        std::function<void(net::ControlCall, std::shared_ptr<net::FrameChannel> broker)>;
    void on_control(OnControl serve) { on_control_ = std::move(serve); }
    // Told the instance of a broker whose socket was closed, and not for another's.
    void on_lost(std::function<void(const std::string&)> tell) { on_lost_ = std::move(tell); }

    // A broker, instead of the one before.
    void connect(UniqueFd socket, std::string instance);
    [[nodiscard]] bool connected() const { return channel_ && channel_->is_open(); }

    boost::asio::awaitable<Result<std::string>> call(VmId vm, std::int64_t incarnation,
                                                     std::string method, AgentParameters parameters,
                                                     Milliseconds timeout) override;

private:
    struct Pending {
        std::optional<Result<std::string>> answer;
        std::unique_ptr<Alarm> alarm;
    };

    boost::asio::awaitable<void> listen(std::shared_ptr<net::FrameChannel> channel,
                                        std::string instance);
    void answered(const net::AgentAnswer& answer);
    void lose_all();

    boost::asio::any_io_executor executor_;
    Schedule& schedule_;
    OnControl on_control_;
    std::function<void(const std::string&)> on_lost_;
    std::shared_ptr<net::FrameChannel> channel_;
    std::map<std::uint64_t, std::shared_ptr<Pending>> pending_;
    std::uint64_t next_ = 1;
};

}  // namespace qvd::hkd
