// The sessions of this node that this broker holds, by VM: who is asked to let go is found here.
#pragma once

#include "broker/conversation.hpp"
#include "store/store.hpp"

#include <map>
#include <memory>

namespace qvd::broker {

class Sessions {
public:
    void add(const Session& session, std::shared_ptr<Conversation> holder) {
        held_[session.vm] = {session.id, std::move(holder)};
    }
    void remove(VmId vm, const Conversation& holder) {
        const auto found = held_.find(vm);
        if (found != held_.end() && found->second.holder.get() == &holder) held_.erase(found);
    }
    // False if it is not held here. By session: an old wish must not hit whoever holds the VM now.
    bool abort(VmId vm, SessionId session) {
        const auto found = held_.find(vm);
        if (found == held_.end() || found->second.session != session) return false;
        const auto holder = found->second.holder;
        holder->interrupt(
            {ErrorKind::cancelled, "session.taken_over", "Another client takes over the session"});
        return true;
    }
    [[nodiscard]] std::size_t size() const { return held_.size(); }

private:
    struct Held {
        SessionId session;
        std::shared_ptr<Conversation> holder;
    };
    std::map<VmId, Held> held_;
};

}  // namespace qvd::broker
