// Who waits for which VM: announcements of the database, and the look at it once a second, wake the
// stories that wait.
#pragma once

#include "base/wakeup.hpp"
#include "broker/conversation.hpp"
#include "store/store.hpp"

#include <map>
#include <memory>
#include <set>

namespace qvd::broker {

class VmWatch {
public:
    // While it lives, news about `vm` wake the conversation.
    class Interest {
    public:
        Interest(VmWatch& watch, VmId vm, std::shared_ptr<Conversation> who);
        ~Interest();
        Interest(const Interest&) = delete;
        Interest& operator=(const Interest&) = delete;

    private:
        VmWatch& watch_;
        VmId vm_;
        std::shared_ptr<Conversation> who_;
    };

    void announce(VmId vm);
    void announce_everything();

    [[nodiscard]] std::set<VmId> awaited() const;
    // What was seen of them now. Wakes who waits for one that looks otherwise than the last time,
    // or is seen for the first time: it may have changed before that.
    void seen(const std::map<VmId, store::BrokerLook::Glimpse>& vms);

private:
    std::multimap<VmId, std::shared_ptr<Conversation>> interested_;
    std::map<VmId, store::BrokerLook::Glimpse> last_seen_;
};

}  // namespace qvd::broker
