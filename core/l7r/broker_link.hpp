// One broker's end of the socketpair, seen by a worker.
#pragma once

#include "base/unique_fd.hpp"
#include "l7r/loop.hpp"
#include "net/frames.hpp"

#include <deque>
#include <functional>
#include <string>

namespace qvd::l7r {

class BrokerLink {
public:
    struct Events {
        std::function<void(BrokerLink&, net::Frame)> on_frame;
        std::function<void(BrokerLink&, const std::string& why)> on_lost;  // once, from the loop
    };

    BrokerLink(Loop& loop, UniqueFd socket, std::string instance, Events events);

    // Queued in order while the broker is slow; nothing happens once the link is lost.
    void send(const net::Frame& frame);
    // The broker reads so slowly that no more requests should be sent to it.
    [[nodiscard]] bool congested() const { return queue_.size() >= congested_frames; }
    [[nodiscard]] bool alive() const { return alive_; }
    [[nodiscard]] const std::string& instance() const { return instance_; }

private:
    static constexpr std::size_t congested_frames = 512;
    static constexpr int frames_per_turn = 64;

    void on_ready(std::uint32_t events);
    void receive();
    void send_queued();
    void update_watch();
    void lose(const std::string& why);

    Loop& loop_;
    UniqueFd socket_;
    std::string instance_;
    Events events_;
    Watch watch_;
    std::deque<net::Frame> queue_;
    bool alive_ = true;
};

}  // namespace qvd::l7r
