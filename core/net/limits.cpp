#include "net/limits.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <iterator>

namespace qvd::net {

std::string counted_address(const std::string& address) {
    in6_addr bytes{};
    if (::inet_pton(AF_INET6, address.c_str(), &bytes) != 1) return address;
    return {std::begin(bytes.s6_addr), std::begin(bytes.s6_addr) + 8};
}

Admission ConnectionLimits::admit(const std::string& address) {
    if (exhausted()) return Admission::drop;
    const std::string counted = counted_address(address);
    const auto found = by_address_.find(counted);
    const std::size_t from_here = found == by_address_.end() ? 0 : found->second;
    const bool limited = per_address_ > 0;
    if (limited && from_here >= per_address_ + polite_per_address) return Admission::drop;
    Admission admission = Admission::welcome;
    if (limited && from_here >= per_address_)
        admission = Admission::address_full;
    else if (count_ >= in_all_)
        admission = Admission::worker_full;
    ++by_address_[counted];
    ++count_;
    return admission;
}

void ConnectionLimits::release(const std::string& address) {
    const auto found = by_address_.find(counted_address(address));
    if (found == by_address_.end()) return;
    --count_;
    if (--found->second == 0) by_address_.erase(found);
}

}  // namespace qvd::net
