// The system's log, for processes that may not be held up by it and that, confined as they are,
// cannot make another socket once they work: one socket, made at the beginning, never blocking.
#pragma once

#include "base/unique_fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace qvd {

class Syslog {
public:
    explicit Syslog(std::string program, std::string path = "/dev/log");

    // One line of facility daemon; `severity` as <syslog.h> has it. What nobody takes is lost, and
    // how much that was is said once somebody does.
    void write(int severity, std::string_view line);

private:
    [[nodiscard]] std::string packet(int severity, std::string_view line) const;
    [[nodiscard]] bool send(const std::string& packet) const;
    [[nodiscard]] bool connect() const;

    std::string program_;
    std::string path_;
    UniqueFd socket_;
    std::uint64_t lost_ = 0;
};

}  // namespace qvd
