// How many connections the workers hold, so that each knows of the others' and the node's limits
// are the node's.
#pragma once

#include "net/frames.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace qvd::broker {

// One event loop. A worker is named by its link's address.
class Crowd {
public:
    using Worker = const void*;

    // What one worker may say that it holds; it may be in an attacker's hands. The rest is ignored.
    static constexpr std::size_t most_addresses = 65'536;

    void add(Worker worker);
    void remove(Worker worker);
    void set(Worker worker, const net::Connections& held);

    // What the others hold, as far as `worker` has not been told; in pieces that fit into frames.
    std::vector<net::Connections> news_for(Worker worker);
    [[nodiscard]] bool has_news() const;

private:
    struct Part {
        std::uint32_t in_all = 0;
        std::map<std::string, std::uint32_t> by_address;
        std::set<std::string> untold;  // addresses whose number has changed elsewhere
        std::uint32_t told_in_all = 0;
    };
    [[nodiscard]] std::uint32_t elsewhere(const Part& part) const;
    void changed(const Part& teller, const std::string& address);

    std::map<Worker, Part> parts_;
    std::map<std::string, std::uint32_t> by_address_;
    std::uint32_t in_all_ = 0;
};

}  // namespace qvd::broker
