#include "l7r/connection.hpp"

#include "base/log.hpp"
#include "l7r/worker.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace qvd::l7r {

namespace {

// A kept connection's time between requests once the worker is draining.
constexpr std::uint32_t draining_idle_ms = 60'000;

}  // namespace

Connection::Connection(Worker& worker, std::uint64_t id, Client client)
    : worker_(worker),
      id_(id),
      stream_(std::move(client.stream)),
      address_(std::move(client.address)),
      admission_(client.admission),
      reader_(worker.limits().max_head_bytes),
      client_watch_(worker.loop(), [this](std::uint32_t events) { on_client(events); }),
      vm_watch_(worker.loop(), [this](std::uint32_t /*events*/) { on_vm(); }),
      timer_(worker.loop(), [this] { on_time(); }),
      progress_timer_(worker.loop(), [this] { write_progress(); }),
      connector_(worker.loop(), [this](Result<UniqueFd> vm) { on_linked(std::move(vm)); }) {
}

void Connection::begin() {
    timer_.start(Milliseconds(worker_.limits().first_byte_ms));
    shake_hands();
    update();
}

void Connection::on_client(std::uint32_t events) {
    switch (phase_) {
        case Phase::handshake:
            shake_hands();
            break;
        case Phase::head:
            read_head();
            break;
        case Phase::parked:
        case Phase::waiting:
        case Phase::connecting:
        case Phase::linked:
            watch_for_leaving(events);
            break;
        case Phase::relaying:
            pump();
            break;
        case Phase::lingering:
            discard();
            break;
        case Phase::closed:
            break;
    }
    update();
}

void Connection::on_vm() {
    if (phase_ == Phase::relaying) pump();
    update();
}

void Connection::on_time() {
    switch (phase_) {
        case Phase::handshake:
            close("no handshake in time");
            break;
        case Phase::head:
            if (head_begun_)
                refuse(408, "The request head was not complete in time");
            else
                close(requests_ == 0 ? "no request in time" : "idle");
            break;
        case Phase::relaying: {
            const std::uint64_t bytes = relay_->bytes_down() + relay_->bytes_up();
            if (bytes == bytes_at_check_) {
                close(relay_->reason());
                break;
            }
            bytes_at_check_ = bytes;
            timer_.start(Milliseconds(worker_.limits().half_close_ms));
            break;
        }
        case Phase::lingering:
            close("answered");
            break;
        case Phase::waiting:
        case Phase::connecting:
        case Phase::linked:
            if (link_) link_->send(net::Gone{request_});
            refuse(504, "The server did not answer in time, try again later");
            break;
        default:
            break;
    }
    update();
}

void Connection::shake_hands() {
    const net::Stream::Status status = stream_.handshake();
    if (status == net::Stream::Status::failed) {
        close("handshake: " + stream_.failure());
        return;
    }
    if (!greeted_ && stream_.greeted() && !stream_.is_plain()) {
        // He speaks TLS; now a person may have to look at our certificate first.
        greeted_ = true;
        timer_.start(Milliseconds(worker_.limits().question_ms));
    }
    if (status != net::Stream::Status::ok) return;
    phase_ = Phase::head;
    read_head();
}

void Connection::read_head() {
    while (phase_ == Phase::head) {
        // Who does not read our answers is not asked for more questions.
        if (!push() || stream_.wants_write()) return;
        if (!inbox_.empty()) {
            take(std::exchange(inbox_, {}));
            continue;
        }
        const auto buffer = worker_.buffer();
        const net::Stream::Read read = stream_.read(buffer);
        switch (read.status) {
            case net::Stream::Status::ok:
                take({buffer.data(), read.bytes});
                break;
            case net::Stream::Status::would_block:
                return;
            case net::Stream::Status::closed:
                close("client closed");
                return;
            case net::Stream::Status::failed:
                close("client vanished: " + stream_.failure());
                return;
        }
    }
}

void Connection::take(std::string_view bytes) {
    const net::HeadReader::Outcome outcome = reader_.consume(bytes);
    inbox_.assign(bytes);
    if (reader_.begun() && !head_begun_) {
        head_begun_ = true;
        timer_.start(Milliseconds(worker_.limits().head_ms));
    }
    if (outcome == net::HeadReader::Outcome::complete)
        dispatch(reader_.take());
    else if (outcome == net::HeadReader::Outcome::refused)
        refuse(reader_.status(), reader_.sentence());
}

void Connection::dispatch(net::RequestHead head) {
    head_begun_ = false;
    timer_.stop();
    if (admission_ == net::Admission::address_full) {
        refuse(429, "There are too many connections from your address");
        return;
    }
    if (admission_ == net::Admission::full) {
        refuse(503, "The server has as many connections as it can hold, try again later");
        return;
    }
    close_wanted_ = net::header_lists(head.headers, "Connection", "close");
    head_only_ = head.method == "HEAD";
    parked_ = std::move(head);
    phase_ = Phase::parked;
    submit();
}

void Connection::submit() {
    const std::shared_ptr<BrokerLink> broker = worker_.broker();
    if (!broker) {
        if (!worker_.broker_expected()) no_broker_comes();
        return;
    }
    if (broker->congested()) {
        refuse(503, "The server is busy, try again in a moment");
        return;
    }
    request_ = worker_.enrol(*this);
    ++requests_;
    link_ = broker;
    phase_ = Phase::waiting;
    timer_.start(Milliseconds(worker_.limits().answer_ms));
    next_progress_ = worker_.loop().now() + Worker::first_progress;
    net::RequestHead head = std::move(*parked_);
    parked_.reset();
    link_->send(net::Request{request_, id_, address_, std::move(head.method),
                             std::move(head.target), std::move(head.headers),
                             stream_.has_client_certificate(), !stream_.is_plain()});
}

void Connection::broker_came() {
    if (phase_ == Phase::parked) submit();
    update();
}

void Connection::no_broker_comes() {
    if (phase_ == Phase::parked)
        refuse(503, "The server cannot take logins at the moment, try again later");
    update();
}

void Connection::broker_lost() {
    link_.reset();
    if (has_request()) refuse(503, "The server had to interrupt your request, try again");
    update();
}

void Connection::watch_for_leaving(std::uint32_t events) {
    push();
    while (phase_ != Phase::closed) {
        const std::size_t limit = worker_.limits().max_head_bytes;
        const std::size_t room = limit - std::min(limit, inbox_.size());
        if (room == 0) break;
        const auto buffer = worker_.buffer().first(std::min(room, worker_.buffer().size()));
        const net::Stream::Read read = stream_.read(buffer);
        if (read.status == net::Stream::Status::would_block) break;
        if (read.status != net::Stream::Status::ok) {
            leave();
            return;
        }
        inbox_.append(buffer.data(), read.bytes);
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) leave();
}

void Connection::leave() {
    if (has_request() && link_) link_->send(net::Gone{request_});
    close("client left before its answer");
}

void Connection::pump() {
    if (!push()) return;
    const bool more = relay_->pump(worker_.buffer());
    if (relay_->finished()) {
        close(relay_->reason());
        return;
    }
    if (more) worker_.go_on_later(id_);
    if (relay_->half_closed() && !timer_.running()) {
        bytes_at_check_ = relay_->bytes_down() + relay_->bytes_up();
        timer_.start(Milliseconds(worker_.limits().half_close_ms));
    }
}

void Connection::go_on() {
    if (phase_ == Phase::relaying) pump();
    update();
}

void Connection::report_relay(const std::string& reason) {
    const auto lasted =
        std::chrono::duration_cast<Milliseconds>(worker_.loop().now() - relay_began_);
    const net::Ended ended{request_, relay_->bytes_down(), relay_->bytes_up(),
                           static_cast<std::uint64_t>(lasted.count()), reason};
    if (link_) link_->send(ended);
    log::info("l7r.relay.end",
              {{"trace", worker_.trace(request_)},
               {"connection", id_},
               {"client", address_},
               {"bytes_down", ended.bytes_down},
               {"bytes_up", ended.bytes_up},
               {"milliseconds", ended.milliseconds}},
              reason);
}

void Connection::drain() {
    if (phase_ == Phase::head && requests_ > 0 && !head_begun_)
        timer_.start(Milliseconds(std::min(worker_.limits().idle_ms, draining_idle_ms)));
}

// By value: the reason may be the relay's own, which ends here.
void Connection::close(std::string reason) {  // NOLINT(performance-unnecessary-value-param)
    if (phase_ == Phase::closed) return;
    if (relay_) report_relay(reason);
    phase_ = Phase::closed;
    log_end(reason);
    connector_.stop();
    timer_.stop();
    progress_timer_.stop();
    client_watch_.forget();
    vm_watch_.forget();
    vm_.reset();
    relay_.reset();
    stream_.shutdown_write();
    forget_request();
    if (requests_ > 0) {
        if (const auto broker = link_ ? link_ : worker_.broker())
            broker->send(net::ConnectionClosed{id_});
    }
    worker_.closed(*this);
}

void Connection::log_end(const std::string& reason) const {
    const log::Level level = requests_ > 0 ? log::Level::info : log::Level::debug;
    if (!log::enabled(level)) return;
    log::write(level, "l7r.connection.end",
               {{"connection", id_},
                {"trace", worker_.trace(request_)},
                {"requests", requests_},
                {"client", address_},
                {"tls", stream_.describe()}},
               reason);
}

bool Connection::wants_input() const {
    switch (phase_) {
        case Phase::relaying:
            return false;  // the 101 must leave first
        case Phase::head:
            return out_.empty() && !stream_.wants_write();
        case Phase::lingering:
            return out_.empty();
        default:
            return inbox_.size() < worker_.limits().max_head_bytes;
    }
}

void Connection::update() {
    if (phase_ == Phase::closed || watch()) return;
    if (has_request() && link_) link_->send(net::Gone{request_});
    close("the kernel has no memory to watch the connection");
}

bool Connection::watch() {
    if (phase_ == Phase::relaying && out_.empty()) {
        return client_watch_.watch(stream_.socket(), relay_->client_events()) &&
               vm_watch_.watch(relay_->vm(), relay_->vm_events());
    }
    std::uint32_t events = 0;
    if (stream_.wants_write() || !out_.empty()) events |= EPOLLOUT;
    if (wants_input() && stream_.may_read()) events |= EPOLLIN;
    // Elsewhere a client that has left is found by reading; here its request may fill the inbox.
    if (phase_ == Phase::parked || has_request()) events |= EPOLLRDHUP;
    return client_watch_.watch(stream_.socket(), events);
}

}  // namespace qvd::l7r
