// The part of a Connection that speaks with the broker and answers the client.
#include "base/log.hpp"
#include "l7r/connection.hpp"
#include "l7r/worker.hpp"
#include "net/reply.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace qvd::l7r {

namespace {

constexpr std::size_t progress_texts_kept = 4;
constexpr std::size_t progress_text_bytes = 256;
// How long a client may take to read its last answer before the socket goes.
constexpr Milliseconds linger_time{2000};

bool has_closed(int socket) {
    char byte = 0;
    const ssize_t peeked = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return peeked == 0 || (peeked < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace

bool Connection::has_request() const {
    return phase_ == Phase::waiting || phase_ == Phase::connecting || phase_ == Phase::linked;
}

void Connection::on_progress(std::string text) {
    if (!has_request()) return;
    timer_.start(Milliseconds(worker_.limits().answer_ms));
    text.resize(std::min(text.size(), progress_text_bytes));
    progress_.push_back(std::move(text));
    if (progress_.size() > progress_texts_kept) progress_.erase(progress_.begin());
    if (progress_timer_.running()) return;
    const auto wait =
        std::chrono::duration_cast<Milliseconds>(next_progress_ - worker_.loop().now());
    progress_timer_.start(std::max(wait, Worker::progress_pause));
}

void Connection::write_progress() {
    if (!has_request()) return;
    std::string heads = take_progress();
    next_progress_ = worker_.loop().now() + Worker::progress_gap;
    // A client that does not read misses nothing by missing this.
    if (!heads.empty() && out_.empty() && !stream_.wants_write()) {
        out_.push_back(std::move(heads));
        push();
    }
    update();
}

std::string Connection::take_progress() {
    std::string heads;
    for (const std::string& text : progress_) heads += net::progress_head(text);
    progress_.clear();
    progress_timer_.stop();
    return heads;
}

void Connection::on_body(std::string bytes) {
    if (!has_request() || body_.size() + bytes.size() > net::max_body_bytes) return;
    timer_.start(Milliseconds(worker_.limits().answer_ms));
    if (body_.empty())
        body_ = std::move(bytes);
    else
        body_ += bytes;
}

void Connection::on_reply(net::Reply reply) {
    if (!has_request()) return;
    if (!body_.empty()) reply.body = std::exchange(body_, {}) + reply.body;
    answer(reply);
    update();
}

void Connection::answer(const net::Reply& reply) {
    if (say(reply))
        linger();
    else
        next_request();
}

// Whether it is the last answer. What is still to be said about the progress is left out: the
// answer says more.
bool Connection::say(const net::Reply& reply) {
    static_cast<void>(take_progress());
    connector_.stop();
    vm_.reset();
    timer_.stop();
    const bool last = reply.close || reply.upgrade_failed || close_wanted_;
    net::Answer written = net::answer(reply.status, reply.headers, reply.body, last);
    if (head_only_) written.body.clear();
    if (reply.upgrade_failed && !written.body.empty()) {
        // The C client waits for a second record, for ever if there is none (protocol A3).
        out_.push_back(std::move(written.head));
        out_.push_back(std::move(written.body));
    } else {
        out_.push_back(written.head + written.body);
    }
    forget_request();
    return last;
}

// An answer of the worker's own. Two records and the end of the connection suit every client.
void Connection::refuse(std::uint16_t status, const std::string& sentence) {
    if (!has_request()) head_only_ = false;
    log::info("l7r.request.refused",
              {{"trace", worker_.trace(request_)},
               {"connection", id_},
               {"client", address_},
               {"status", status}},
              sentence);
    net::Reply reply;
    reply.status = status;
    reply.body = sentence + "\r\n";
    reply.upgrade_failed = true;
    say(reply);
    linger();
}

void Connection::next_request() {
    phase_ = Phase::head;
    timer_.start(Milliseconds(worker_.limits().idle_ms));
    if (worker_.draining()) drain();
    read_head();
}

void Connection::linger() {
    phase_ = Phase::lingering;
    inbox_ = std::string();
    parked_.reset();
    timer_.start(linger_time);
    discard();
}

// Unread bytes at close() would make the kernel take back our last words.
void Connection::discard() {
    if (!push()) return;
    stream_.shutdown_write();
    for (int round = 0; round < 16; ++round) {
        const net::Stream::Read read = stream_.read(worker_.buffer());
        if (read.status == net::Stream::Status::would_block) return;
        if (read.status != net::Stream::Status::ok) {
            close("answered");
            return;
        }
    }
}

// Whether everything to be said has been handed over.
bool Connection::push() {
    stream_.flush();
    while (!out_.empty() && !stream_.failed()) {
        out_.front().erase(0, stream_.write(out_.front()));
        if (!out_.front().empty()) break;
        out_.erase(out_.begin());
    }
    if (stream_.failed()) {
        if (has_request())
            leave();
        else
            close("client vanished: " + stream_.failure());
        return false;
    }
    return out_.empty();
}

void Connection::on_link(const net::Link& link) {
    if (phase_ != Phase::waiting || was_linked_) {
        log::warn("l7r.frame.unexpected", {{"trace", worker_.trace(request_)}},
                  "the broker sent Link too late");
        return;
    }
    phase_ = Phase::connecting;
    connector_.start(link.address, link.port, Milliseconds(worker_.limits().connect_ms));
}

void Connection::on_linked(Result<UniqueFd> vm) {
    if (vm.ok()) {
        vm_ = std::move(vm).value();
        was_linked_ = true;
        phase_ = Phase::linked;
        timer_.start(Milliseconds(worker_.limits().answer_ms));
        if (link_) link_->send(net::Linked{request_});
    } else {
        phase_ = Phase::waiting;
        if (link_) link_->send(net::LinkFailed{request_, vm.error().sentence()});
    }
    update();
}

// A socket that somebody else has connected.
void Connection::on_attach(const net::Attach& attach) {
    if (phase_ != Phase::waiting || was_linked_ || !attach.socket) {
        log::warn("l7r.frame.unexpected", {{"trace", worker_.trace(request_)}},
                  "the broker sent Attach too late");
        return;
    }
    UniqueFd socket = std::move(*attach.socket);
    const int flags = ::fcntl(socket.get(), F_GETFL);    // NOLINT(*-vararg): fcntl is
    ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);  // NOLINT(*-vararg)
    on_linked(std::move(socket));
}

void Connection::on_switch(const net::Switch& ordered) {
    if (phase_ != Phase::linked) {
        log::warn("l7r.frame.unexpected", {{"trace", worker_.trace(request_)}},
                  "the broker sent Switch for a request without a VM");
        return;
    }
    if (has_closed(vm_.get())) {
        if (link_) link_->send(net::Ended{request_, 0, 0, 0, "vm closed"});
        refuse(503, "The virtual machine closed the connection again, try again");
        update();
        return;
    }
    out_.push_back(take_progress() + net::switch_head(ordered.slave_key, ordered.protocol));
    phase_ = Phase::relaying;
    owner_ = ordered.owner.substr(0, net::max_owner_bytes);
    timer_.stop();
    relay_began_ = worker_.loop().now();
    relay_ = std::make_unique<net::Relay>(stream_, std::move(vm_), std::exchange(inbox_, {}));
    pump();
    update();
}

void Connection::on_abort() {
    if (phase_ == Phase::relaying || has_request()) close("aborted");
}

void Connection::forget_request() {
    if (request_ != 0) worker_.strike(request_);
    was_linked_ = false;
    body_ = std::string();
}

}  // namespace qvd::l7r
