#include "broker/operator_streams.hpp"

#include "base/log.hpp"
#include "store/store.hpp"

#include <set>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

constexpr std::string_view operators = "operator:";

}  // namespace

// A name has no colon.
std::string to_text(const StreamOwner& owner) {
    return std::string(operators) + std::string(to_string(owner.needed)) + ":" + owner.who;
}

std::optional<StreamOwner> parse_stream_owner(std::string_view text) {
    if (!text.starts_with(operators)) return std::nullopt;
    text.remove_prefix(operators.size());
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto needed = parse_operator_role(text.substr(0, colon));
    const std::string_view who = text.substr(colon + 1);
    if (!needed.ok() || !check_operator_name(who).ok()) return std::nullopt;
    return StreamOwner{std::string(who), *needed};
}

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
