// Connects to a VM's NX port. nxagent says that it listens a few milliseconds before it does, so a
// refused attempt is repeated; once one has succeeded there is never another, because a connection
// that comes to nothing ends the agent (protocol B5).
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "l7r/loop.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace qvd::l7r {

class VmConnector {
public:
    // `on_done` gets the connected socket or connect.address, connect.refused, connect.timeout.
    VmConnector(Loop& loop, std::function<void(Result<UniqueFd>)> on_done);

    void start(std::string address, std::uint16_t port, Milliseconds patience);
    // Gives up without a word.
    void stop();

private:
    static constexpr Milliseconds pause{10};

    void attempt();
    void on_ready();
    void again(const Error& why);
    void on_deadline();
    void done(Result<UniqueFd> result);

    std::function<void(Result<UniqueFd>)> on_done_;
    std::string address_;
    std::uint16_t port_ = 0;
    UniqueFd socket_;
    std::string last_failure_;
    Watch watch_;
    Timer retry_;
    Timer deadline_;
};

}  // namespace qvd::l7r
