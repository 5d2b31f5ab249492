// Moves bytes between a client's stream and a VM's socket, both ways, without looking at them. A
// relay owns memory only while one side does not take what the other sent: then it stops reading.
#pragma once

#include "base/unique_fd.hpp"
#include "net/stream.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace qvd::net {

class Relay {
public:
    // The size of the buffer to lend to pump(): four full TLS records.
    static constexpr std::size_t buffer_bytes = std::size_t{64} * 1024;

    // `early`: what the client sent behind its request already. `vm` is connected, non-blocking.
    Relay(Stream& client, UniqueFd vm, std::string early);

    // Moves what can be moved now; `buffer` is scratch that all relays of a thread share. True if
    // it stopped only out of fairness: call it again soon, no event may come.
    bool pump(std::span<char> buffer);

    // epoll events to wait for; 0: do not watch at all.
    [[nodiscard]] std::uint32_t client_events() const;
    [[nodiscard]] std::uint32_t vm_events() const;

    // Both directions are over, or one side broke.
    [[nodiscard]] bool finished() const noexcept { return finished_; }
    // One side has said that it sends nothing more.
    [[nodiscard]] bool half_closed() const noexcept { return client_ended_ || vm_ended_; }
    // Why it ended, or began to end: "client closed", "vm closed", "client vanished: ...", ...
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
    [[nodiscard]] std::uint64_t bytes_down() const noexcept { return bytes_down_; }
    [[nodiscard]] std::uint64_t bytes_up() const noexcept { return bytes_up_; }
    [[nodiscard]] int vm() const noexcept { return vm_.get(); }
    // Bytes held because a side does not take them; at most buffer_bytes each way.
    [[nodiscard]] std::size_t held() const noexcept { return down_.size() + up_.size(); }

private:
    bool pump_down(std::span<char> buffer);
    bool pump_up(std::span<char> buffer);
    bool move_down(std::span<char> buffer);
    // Whether everything held for that side has left, so that more may be read.
    bool drain_down();
    bool drain_up();
    void end_down();
    void end_up();
    std::size_t send_to_vm(std::string_view bytes);
    void note(std::string_view reason);
    void fail(std::string_view side, const std::string& why);

    Stream& client_;
    UniqueFd vm_;
    std::string down_;
    std::string up_;
    std::string reason_;
    std::uint64_t bytes_down_ = 0;
    std::uint64_t bytes_up_ = 0;
    bool client_ended_ = false;
    bool vm_ended_ = false;
    bool down_over_ = false;
    bool up_over_ = false;
    bool finished_ = false;
};

}  // namespace qvd::net
