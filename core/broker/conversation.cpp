#include "broker/conversation.hpp"

namespace qvd::broker {

namespace asio = boost::asio;

Conversation::Conversation(net::Request request, std::string worker,
                           std::shared_ptr<net::FrameChannel> channel)
    : request_(std::move(request)), worker_(std::move(worker)), channel_(std::move(channel)) {
}

std::string Conversation::holder() const {
    return worker_ + ":" + std::to_string(request_.request);
}

void Conversation::progress(std::string_view text) {
    channel_->send(net::Progress{request_.request, std::string(text)});
}

void Conversation::reply(net::Reply reply) {
    reply.request = request_.request;
    channel_->send(std::move(reply));
}

asio::awaitable<Result<void>> Conversation::link(std::string address, int port,
                                                 Milliseconds limit) {
    linked_.reset();
    channel_->send(
        net::Link{request_.request, std::move(address), static_cast<std::uint16_t>(port)});
    co_return co_await await_link(limit);
}

asio::awaitable<Result<void>> Conversation::attach(std::shared_ptr<UniqueFd> socket,
                                                   Milliseconds limit) {
    linked_.reset();
    net::Attach attach{request_.request, std::move(socket)};
    channel_->send(attach);
    co_return co_await await_link(limit);
}

asio::awaitable<Result<void>> Conversation::await_link(Milliseconds limit) {
    const SteadyClock clock;
    const Deadline deadline = Deadline::in(clock, limit);
    while (!linked_) {
        if (interruption_) co_return *interruption_;
        if (deadline.passed())
            co_return Error{ErrorKind::timeout, "vm.link", "the VM's display did not answer"};
        co_await changed_.wait(deadline.remaining());
    }
    co_return *linked_;
}

asio::awaitable<net::Ended> Conversation::relay(Secret slave_key, std::string protocol,
                                                std::string owner) {
    channel_->send(
        net::Switch{request_.request, std::move(slave_key), std::move(protocol), std::move(owner)});
    co_return co_await relayed();
}

asio::awaitable<net::Ended> Conversation::relayed() {
    relaying_ = true;
    // What was found out before.
    if (interruption_ && !ended_) channel_->send(net::Abort{request_.request});
    while (!ended_) co_await changed_.wait(long_wait);
    co_return *ended_;
}

void Conversation::interrupt(const Error& why) {
    if (interruption_ || ended_) return;
    interruption_ = why;
    if (relaying_) channel_->send(net::Abort{request_.request});
    changed_.notify();
}

void Conversation::wake() {
    woken_ = true;
    changed_.notify();
}

asio::awaitable<Result<void>> Conversation::pause(Milliseconds limit) {
    if (!interruption_ && !woken_) co_await changed_.wait(limit);
    woken_ = false;
    if (interruption_) co_return *interruption_;
    co_return Result<void>{};
}

void Conversation::on_linked() {
    linked_ = Result<void>{};
    changed_.notify();
}

void Conversation::on_link_failed(const std::string& sentence) {
    linked_ = Error{ErrorKind::unavailable, "vm.link", sentence};
    changed_.notify();
}

void Conversation::on_ended(const net::Ended& ended) {
    if (!ended_) ended_ = ended;
    changed_.notify();
}

void Conversation::on_gone() {
    interrupt({ErrorKind::cancelled, "client.gone", "the client left before its answer"});
}

void Conversation::on_worker_lost() {
    // In this order: what has ended cannot be interrupted any more.
    interrupt({ErrorKind::cancelled, "worker.lost", "the worker that held the client ended"});
    if (!ended_) ended_ = net::Ended{request_.request, 0, 0, 0, "the worker ended"};
    changed_.notify();
}

}  // namespace qvd::broker
