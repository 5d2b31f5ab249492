#include "store/postgres/listener.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>

namespace qvd::store::postgres {

namespace {

using What = Announcement::What;

constexpr std::array<std::pair<std::string_view, What>, 7> channels{{
    {"qvd_vm_command", What::vm_command},
    {"qvd_vm_state", What::vm_state},
    {"qvd_session_abort", What::session_abort},
    {"qvd_session_end", What::session_end},
    {"qvd_configuration", What::configuration},
    {"qvd_operators", What::operators},
    {"qvd_vms", What::vms},
}};

// Payload: the vm's id and the node's, or nothing.
Announcement parse(const Connection::Heard& heard) {
    for (const auto& [channel, what] : channels) {
        if (channel != heard.channel) continue;
        if (what == What::configuration || what == What::operators || what == What::vms)
            return {what, {}, {}};
        const auto parts = text::split(heard.payload, ' ');
        const auto vm = text::to_integer(parts[0]);
        const auto node = parts.size() == 2 ? text::to_integer(parts[1]) : std::nullopt;
        if (vm && node) return {what, VmId{*vm}, NodeId{*node}};
    }
    // Somebody else's NOTIFY on our channel: whoever hears looks for himself.
    return {};
}

}  // namespace

Store::Token Listener::listen(std::function<void(const Announcement&)> hear) {
    auto ear = std::make_shared<Ear>();
    ear->hear = std::move(hear);
    ears_.emplace_back(ear);
    if (!started_) {
        started_ = true;
        boost::asio::co_spawn(
            executor_, [self = shared_from_this()] { return self->keep_listening(); },
            boost::asio::detached);
    } else if (up_) {
        boost::asio::post(executor_, [self = shared_from_this()] { self->tell_beginners(); });
    }
    return ear;
}

void Listener::close() {
    closed_ = true;
    ears_.clear();
    pause_.cancel();
    if (connection_) connection_->close();
}

boost::asio::awaitable<void> Listener::keep_listening() {
    const auto self = shared_from_this();
    std::chrono::milliseconds pause{50};
    while (!closed_) {
        up_ = false;
        const auto began = std::chrono::steady_clock::now();
        const Result<void> ended = co_await listen_once();
        up_ = false;
        connection_.reset();
        if (closed_) co_return;
        log::debug("store.listener", {{"database", access_.where()}}, ended.error().sentence());
        // One that held for a while begins again at once.
        if (std::chrono::steady_clock::now() - began > std::chrono::seconds(5))
            pause = std::chrono::milliseconds(50);
        pause_.expires_after(pause);
        boost::system::error_code error;
        co_await pause_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
        pause = std::min(pause * 2, std::chrono::milliseconds(2000));
    }
}

Async<void> Listener::listen_once() {
    const auto deadline = std::chrono::steady_clock::now() + access_.timeout;
    QVD_CO_TRY(connection_, co_await Connection::open(executor_, access_, deadline));
    if (closed_) co_return Result<void>{};
    std::vector<Statement> listens;
    listens.emplace_back("LISTEN qvd_vm_command");
    listens.emplace_back("LISTEN qvd_vm_state");
    listens.emplace_back("LISTEN qvd_session_abort");
    listens.emplace_back("LISTEN qvd_session_end");
    listens.emplace_back("LISTEN qvd_configuration");
    listens.emplace_back("LISTEN qvd_operators");
    listens.emplace_back("LISTEN qvd_vms");
    QVD_CO_CHECK(co_await connection_->run(std::move(listens), deadline));
    for (const auto& weak : ears_)
        if (const auto ear = weak.lock()) ear->told = false;
    up_ = true;
    tell_beginners();
    while (!closed_) {
        QVD_CO_TRY(const std::vector<Connection::Heard> heard, co_await connection_->hear());
        for (const Connection::Heard& one : heard) tell(parse(one));
    }
    co_return Result<void>{};
}

void Listener::tell(const Announcement& announcement) {
    std::erase_if(ears_, [](const auto& ear) { return ear.expired(); });
    const auto ears = ears_;  // whoever hears may listen anew
    for (const auto& weak : ears)
        if (const auto ear = weak.lock()) ear->hear(announcement);
}

void Listener::tell_beginners() {
    if (!up_) return;
    const auto ears = ears_;
    for (const auto& weak : ears) {
        const auto ear = weak.lock();
        if (!ear || ear->told) continue;
        ear->told = true;
        ear->hear({});
    }
}

}  // namespace qvd::store::postgres
