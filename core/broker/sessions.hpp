// The sessions of this node that this broker holds, by VM: an abort that the database announces
// finds its conversation here.
#pragma once

#include "broker/conversation.hpp"
#include "store/store.hpp"

#include <map>
#include <memory>

namespace qvd::broker {

class Sessions {
public:
    void add(VmId vm, std::shared_ptr<Conversation> holder) { held_[vm] = std::move(holder); }
    void remove(VmId vm, const Conversation& holder) {
        const auto found = held_.find(vm);
        if (found != held_.end() && found->second.get() == &holder) held_.erase(found);
    }
    void abort(VmId vm) {
        const auto found = held_.find(vm);
        if (found == held_.end()) return;
        const auto holder = found->second;
        holder->interrupt(
            {ErrorKind::cancelled, "session.taken_over", "Another client takes over the session"});
    }
    [[nodiscard]] std::size_t size() const { return held_.size(); }

private:
    std::map<VmId, std::shared_ptr<Conversation>> held_;
};

}  // namespace qvd::broker
