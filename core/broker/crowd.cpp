#include "broker/crowd.hpp"

#include <algorithm>

namespace qvd::broker {

namespace {

constexpr std::size_t addresses_per_frame = 4096;
// Sums of what attackers say do not wrap.
constexpr std::uint32_t most_connections = 1'000'000;

}  // namespace

void Crowd::add(Worker worker) {
    Part& part = parts_[worker];
    for (const auto& [address, count] : by_address_) part.untold.insert(address);
}

void Crowd::remove(Worker worker) {
    const auto found = parts_.find(worker);
    if (found == parts_.end()) return;
    net::Connections none;
    for (const auto& [address, count] : found->second.by_address)
        none.by_address.emplace_back(address, 0);
    set(worker, none);
    parts_.erase(worker);
}

void Crowd::set(Worker worker, const net::Connections& held) {
    const auto found = parts_.find(worker);
    if (found == parts_.end()) return;
    Part& part = found->second;
    const std::uint32_t in_all = std::min(held.in_all, most_connections);
    in_all_ = in_all_ - part.in_all + in_all;
    part.in_all = in_all;
    for (const auto& [address, said] : held.by_address) {
        const std::uint32_t count = std::min(said, most_connections);
        const auto known = part.by_address.find(address);
        const std::uint32_t before = known == part.by_address.end() ? 0 : known->second;
        if (count == before) continue;
        if (before == 0 && part.by_address.size() >= most_addresses) continue;
        std::uint32_t& sum = by_address_[address];
        sum = sum - before + count;
        if (sum == 0) by_address_.erase(address);
        if (count == 0)
            part.by_address.erase(address);
        else
            part.by_address[address] = count;
        changed(part, address);
    }
}

void Crowd::changed(const Part& teller, const std::string& address) {
    for (auto& [worker, part] : parts_)
        if (&part != &teller) part.untold.insert(address);
}

std::uint32_t Crowd::elsewhere(const Part& part) const {
    return in_all_ - part.in_all;
}

std::vector<net::Connections> Crowd::news_for(Worker worker) {
    std::vector<net::Connections> pieces;
    const auto found = parts_.find(worker);
    if (found == parts_.end()) return pieces;
    Part& part = found->second;
    const std::uint32_t in_all = elsewhere(part);
    if (in_all != part.told_in_all) pieces.push_back({in_all, {}});
    part.told_in_all = in_all;
    for (const std::string& address : part.untold) {
        if (pieces.empty() || pieces.back().by_address.size() == addresses_per_frame)
            pieces.push_back({in_all, {}});
        const auto sum = by_address_.find(address);
        const auto own = part.by_address.find(address);
        const std::uint32_t all = sum == by_address_.end() ? 0 : sum->second;
        pieces.back().by_address.emplace_back(
            address, all - (own == part.by_address.end() ? 0 : own->second));
    }
    part.untold.clear();
    return pieces;
}

bool Crowd::has_news() const {
    return std::ranges::any_of(parts_, [this](const auto& entry) {
        const Part& part = entry.second;
        return !part.untold.empty() || elsewhere(part) != part.told_in_all;
    });
}

}  // namespace qvd::broker
