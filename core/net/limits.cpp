#include "net/limits.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <iterator>

namespace qvd::net {

namespace {

// Well below the longest frame: an address has at most 15 bytes and its count.
constexpr std::size_t addresses_per_frame = 4096;

std::size_t count_in(const std::unordered_map<std::string, std::size_t>& counts,
                     const std::string& address) {
    const auto found = counts.find(address);
    return found == counts.end() ? 0 : found->second;
}

}  // namespace

std::string counted_address(const std::string& address) {
    in6_addr bytes{};
    if (::inet_pton(AF_INET6, address.c_str(), &bytes) != 1) return address;
    return {std::begin(bytes.s6_addr), std::begin(bytes.s6_addr) + 8};
}

Admission ConnectionLimits::admit(const std::string& address) {
    if (exhausted()) return Admission::drop;
    const std::string counted = counted_address(address);
    const std::size_t from_here =
        count_in(by_address_, counted) + count_in(elsewhere_by_address_, counted);
    const bool limited = per_address_ > 0;
    if (limited && from_here >= per_address_ + polite_per_address) return Admission::drop;
    Admission admission = Admission::welcome;
    if (limited && from_here >= per_address_)
        admission = Admission::address_full;
    else if (count_ >= own_ || count_ + elsewhere_ >= in_all_)
        admission = Admission::full;
    ++by_address_[counted];
    ++count_;
    changed_.insert(counted);
    return admission;
}

void ConnectionLimits::release(const std::string& address) {
    const auto found = by_address_.find(counted_address(address));
    if (found == by_address_.end()) return;
    --count_;
    changed_.insert(found->first);
    if (--found->second == 0) by_address_.erase(found);
}

void ConnectionLimits::heard(const Connections& elsewhere) {
    elsewhere_ = elsewhere.in_all;
    for (const auto& [address, count] : elsewhere.by_address) {
        if (count == 0)
            elsewhere_by_address_.erase(address);
        else
            elsewhere_by_address_[address] = count;
    }
}

void ConnectionLimits::forget_others() {
    elsewhere_ = 0;
    elsewhere_by_address_.clear();
}

std::vector<Connections> ConnectionLimits::news() {
    const std::vector<std::string> changed(changed_.begin(), changed_.end());
    changed_.clear();
    return in_pieces(changed);
}

std::vector<Connections> ConnectionLimits::everything() const {
    std::vector<std::string> all;
    all.reserve(by_address_.size());
    for (const auto& [address, count] : by_address_) all.push_back(address);
    return in_pieces(all);
}

std::vector<Connections> ConnectionLimits::in_pieces(
    const std::vector<std::string>& addresses) const {
    std::vector<Connections> pieces;
    for (const std::string& address : addresses) {
        if (pieces.empty() || pieces.back().by_address.size() == addresses_per_frame)
            pieces.push_back({static_cast<std::uint32_t>(count_), {}});
        pieces.back().by_address.emplace_back(
            address, static_cast<std::uint32_t>(count_in(by_address_, address)));
    }
    return pieces;
}

}  // namespace qvd::net
