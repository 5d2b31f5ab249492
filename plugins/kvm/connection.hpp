// The one connection to libvirt: opened again whenever it breaks, and never waited for longer than
// a call may take, whatever libvirtd does: each order to it is given on a thread of its own.
#pragma once

#include "event_loop.hpp"

#include <qvd/plugin.hpp>

#include <libvirt/libvirt.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace qvd::kvm {

struct FreeDomain {
    void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};
using Domain = std::unique_ptr<virDomain, FreeDomain>;

// Throws what libvirt last said on this thread: "cannot WHAT: ...".
[[noreturn]] void fail_by_libvirt(const std::string& what);
// Whether what libvirt last refused on this thread was for want of such a domain.
bool is_missing();

// What the other side of the connection tells.
class Hearer {
public:
    Hearer() = default;
    Hearer(const Hearer&) = delete;
    Hearer& operator=(const Hearer&) = delete;
    virtual ~Hearer() = default;

    // VIR_DOMAIN_EVENT_... of a domain, an end only if it still holds; must not wait, nor ask
    // libvirt.
    virtual void on_event(const std::string& uuid, int event, int detail) = 0;
    // A connection is there, at first and again, and these run: what ended meanwhile was not told.
    virtual void on_connected(const std::set<std::string>& uuids) = 0;
    // Who is believed to run, by uuid, with what tells one life from the next.
    virtual std::map<std::string, std::uint64_t> begun() = 0;
    // Of those, who does not run any more, without a word of libvirt's.
    virtual void on_gone(const std::map<std::string, std::uint64_t>& gone) = 0;
    // It broke, or could not be opened; told once until the next on_connected().
    virtual void on_lost(const std::string& sentence) = 0;
};

// What an order is given to work with.
struct Order {
    virConnectPtr connection;
    // Nobody waits any more: what has been begun is to be undone.
    const std::atomic<bool>* abandoned;
};

class Connection {
public:
    Connection(std::string uri, Hearer& hearer);
    // Waits for what libvirt is doing, but not for a libvirt that hangs.
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Runs `order` and hands back what it returns or throws. One at a time for each `turn`, such as
    // a VM's uuid, also when an earlier one was given up (empty: any number). Throws
    // sdk::Failure(QVD_UNAVAILABLE) if there is no libvirt, or if it did not answer while the call
    // lasted. The order owns what it uses: it may outlive the call.
    template <class Work>
    auto ask(const sdk::Call& call, const std::string& turn, Work order)
        -> decltype(order(std::declval<const Order&>())) {
        using Answer = decltype(order(std::declval<const Order&>()));
        if constexpr (std::is_void_v<Answer>) {
            run(call, turn, std::move(order));
        } else {
            const auto answer = std::make_shared<std::optional<Answer>>();
            run(call, turn, [answer, order = std::move(order)](const Order& with) {
                answer->emplace(order(with));
            });
            return **answer;
        }
    }

    struct Line;  // what the threads share; it outlives this object while one of them hangs

private:
    void run(const sdk::Call& call, const std::string& turn,
             std::function<void(const Order&)> order);

    std::shared_ptr<EventLoop> loop_;
    std::shared_ptr<Line> line_;
    std::thread opener_;
};

}  // namespace qvd::kvm
