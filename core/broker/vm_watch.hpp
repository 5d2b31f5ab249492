// Who waits for which VM: announcements of the database wake the stories that wait.
#pragma once

#include "base/wakeup.hpp"
#include "broker/conversation.hpp"
#include "store/store.hpp"

#include <map>
#include <memory>

namespace qvd::broker {

class VmWatch {
public:
    // While it lives, announcements about `vm` wake the conversation.
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

private:
    std::multimap<VmId, std::shared_ptr<Conversation>> interested_;
};

}  // namespace qvd::broker
