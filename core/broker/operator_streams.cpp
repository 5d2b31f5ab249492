#include "broker/operator_streams.hpp"

#include "base/log.hpp"
#include "store/store.hpp"

#include <set>

namespace qvd::broker {

namespace asio = boost::asio;

OperatorStreams::Open::Open(OperatorStreams& all, std::string who, OperatorRole needed,
                            std::shared_ptr<Conversation> client)
    : all_(all),
      its_(all.streams_.insert(all.streams_.end(),
                               Stream{std::move(who), needed, std::move(client)})) {
}

OperatorStreams::Open::~Open() {
    all_.streams_.erase(its_);
}

asio::awaitable<void> OperatorStreams::check(store::Store& store) {
    std::set<std::string> names;
    for (const Stream& stream : streams_) names.insert(stream.who);
    for (const std::string& name : names) {
        const auto access = co_await store.operator_access(name);
        if (!access.ok()) co_return;
        const bool let_in = *access && !(*access)->who.blocked;
        if (let_in)
            end(name, (*access)->who.role);
        else
            for (const Stream& stream : streams_)
                if (stream.who == name)
                    stream.client->interrupt({ErrorKind::denied, "operator.revoked",
                                              "This operator is not let in any more"});
        if (!let_in) log::info("operator.revoked", {{"operator", name}}, "his streams are ended");
    }
}

// Those for which this role is not enough.
void OperatorStreams::end(const std::string& who, OperatorRole role) {
    for (const Stream& stream : streams_)
        if (stream.who == who && role < stream.needed)
            stream.client->interrupt({ErrorKind::denied, "operator.role",
                                      "This operator's role does not allow streams any more"});
}

}  // namespace qvd::broker
