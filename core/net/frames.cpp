#include "net/frames.hpp"

#include "base/receive.hpp"
#include "base/unique_fd.hpp"
#include "net/descriptor.hpp"

#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <type_traits>

namespace qvd::net {

namespace {

// The first byte of every packet; changes when old and new builds can no longer understand each
// other at all.
constexpr std::uint8_t wire_version = 1;
constexpr std::size_t prologue_bytes = 2;
constexpr std::size_t max_agent_text = 1024;

// Each frame names its fields once, in wire order; Writer and Reader both walk that list.
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Configure> {
    v(f.use_tls, f.certificate, f.key, f.client_ca, f.client_crl, f.require_client_certificate,
      f.ciphers, f.max_head_bytes, f.first_byte_ms, f.head_ms, f.idle_ms, f.connections,
      f.connections_per_address, f.connect_ms, f.question_ms, f.ticket_secret, f.half_close_ms,
      f.answer_ms, f.workers);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Progress> {
    v(f.request, f.text);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Reply> {
    v(f.request, f.status, f.headers, f.body, f.upgrade_failed, f.close);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Link> {
    v(f.request, f.address, f.port);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Switch> {
    v(f.request, f.slave_key, f.protocol, f.owner);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Hello> {
    v(f.worker, f.relays, f.elsewhere, f.more, f.owners);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Request> {
    v(f.request, f.connection, f.client_address, f.method, f.target, f.headers,
      f.client_certificate, f.tls);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, ConnectionClosed> {
    v(f.connection);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, LinkFailed> {
    v(f.request, f.sentence);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Ended> {
    v(f.request, f.bytes_down, f.bytes_up, f.milliseconds, f.reason);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, AgentCall> {
    v(f.call, f.vm, f.incarnation, f.method, f.parameters, f.timeout_ms);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, AgentAnswer> {
    v(f.call, f.outcome, f.text);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Body> {
    v(f.request, f.bytes);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, Connections> {
    v(f.in_all, f.by_address);
}
template <class V, class T>
void walk(V& v, T& f) requires std::is_same_v<std::remove_const_t<T>, ControlCall> {
    v(f.call, f.verb, f.vm, f.parameters, f.caller);
}
// Abort, Gone, Linked, Attach
template <class V, class T>
void walk(V& v, T& f) {
    v(f.request);
}

class Writer {
public:
    template <class... T>
    void operator()(const T&... fields) {
        (put(fields), ...);
    }
    template <class T>
    void put(T number) requires std::is_integral_v<T> {
        auto bits = static_cast<std::uint64_t>(number);
        for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8U)
            packet.push_back(static_cast<char>(bits & 0xFFU));
    }
    void put(bool flag) { put(static_cast<std::uint8_t>(flag ? 1 : 0)); }
    void put(AgentAnswer::Outcome outcome) { put(static_cast<std::uint8_t>(outcome)); }
    void put(std::string_view text) {
        put(static_cast<std::uint32_t>(text.size()));
        packet.append(text);
    }
    void put(const std::string& text) { put(std::string_view(text)); }
    void put(const Secret& secret) { put(secret.reveal()); }
    void put(const Headers& pairs) {
        put(static_cast<std::uint32_t>(pairs.size()));
        for (const auto& [name, value] : pairs) (*this)(name, value);
    }
    void put(const std::vector<std::pair<std::string, std::uint32_t>>& counts) {
        put(static_cast<std::uint32_t>(counts.size()));
        for (const auto& [name, count] : counts) (*this)(name, count);
    }
    void put(const std::vector<std::uint64_t>& numbers) {
        put(static_cast<std::uint32_t>(numbers.size()));
        for (const std::uint64_t number : numbers) put(number);
    }

    std::string packet;
};

class Reader {
public:
    explicit Reader(std::string_view rest) : rest_(rest) {}

    template <class... T>
    void operator()(T&... fields) {
        (get_unless_ended(fields), ...);
    }
    // Whether nothing was cut in the middle of a field.
    [[nodiscard]] bool good() const { return good_; }

private:
    // An older build's frame ends before a newer one's: the rest keeps its defaults.
    template <class T>
    void get_unless_ended(T& field) {
        if (good_ && !rest_.empty()) get(field);
    }
    template <class T>
    void get(T& number) requires std::is_integral_v<T> {
        std::uint64_t bits = 0;
        const std::string_view bytes = take(sizeof(T));
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8U * i);
        number = static_cast<T>(bits);
    }
    void get(bool& flag) {
        std::uint8_t byte = 0;
        get(byte);
        if (byte > 1) good_ = false;
        flag = byte == 1;
    }
    void get(AgentAnswer::Outcome& outcome) {
        std::uint8_t byte = 0;
        get(byte);
        if (byte > static_cast<std::uint8_t>(AgentAnswer::Outcome::stale)) good_ = false;
        if (good_) outcome = static_cast<AgentAnswer::Outcome>(byte);
    }
    std::string_view get_text() {
        std::uint32_t length = 0;
        get(length);
        return take(length);
    }
    void get(std::string& text) { text = get_text(); }
    void get(Secret& secret) { secret = Secret(get_text()); }
    void get(Headers& pairs) {
        pairs.resize(get_count(2 * sizeof(std::uint32_t)));
        for (auto& [name, value] : pairs) {
            get(name);
            get(value);
        }
    }
    void get(std::vector<std::pair<std::string, std::uint32_t>>& counts) {
        counts.resize(get_count(2 * sizeof(std::uint32_t)));
        for (auto& [name, count] : counts) {
            get(name);
            get(count);
        }
    }
    void get(std::vector<std::uint64_t>& numbers) {
        numbers.resize(get_count(sizeof(std::uint64_t)));
        for (std::uint64_t& number : numbers) get(number);
    }
    // No more elements than the remaining bytes can hold: a count cannot make us allocate.
    std::size_t get_count(std::size_t smallest_element) {
        std::uint32_t count = 0;
        get(count);
        if (count > rest_.size() / smallest_element) good_ = false;
        return good_ ? count : 0;
    }
    std::string_view take(std::size_t length) {
        if (!good_ || length > rest_.size()) {
            good_ = false;
            return {};
        }
        const std::string_view taken = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return taken;
    }

    std::string_view rest_;
    bool good_ = true;
};

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

bool keeps_its_promise(const Frame& frame) {
    const auto* answer = std::get_if<AgentAnswer>(&frame);
    return answer == nullptr ||
           (answer->text.size() <= max_agent_text &&
            std::none_of(answer->text.begin(), answer->text.end(), is_control));
}

Error malformed() {
    return {ErrorKind::invalid, "frame.malformed", "the other side sent a packet that is no frame"};
}

template <std::size_t... I>
Frame frame_of_kind(std::size_t kind, std::index_sequence<I...> /*kinds*/) {
    Frame frame;
    ((kind == I ? static_cast<void>(frame.emplace<I>()) : static_cast<void>(0)), ...);
    return frame;
}

void wipe(std::string& packet) {
    explicit_bzero(packet.data(), packet.size());
}

Error socket_error(const char* what) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
        return {ErrorKind::unavailable, "frame.would_block", std::string(what) + " would block"};
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return {ErrorKind::cancelled, "frame.closed", "the other side closed the socket"};
    return errno_error("frame.socket", what);
}

Result<Frame> with_descriptor(Frame frame, UniqueFd fd) {
    auto* const attach = std::get_if<Attach>(&frame);
    if ((attach != nullptr) != static_cast<bool>(fd)) return malformed();
    if (attach != nullptr) attach->socket = std::make_shared<UniqueFd>(std::move(fd));
    return frame;
}

}  // namespace

int descriptor_of(const Frame& frame) {
    const auto* const attach = std::get_if<Attach>(&frame);
    return attach == nullptr || !attach->socket ? -1 : attach->socket->get();
}

Result<std::string> encode(const Frame& frame) {
    Writer writer;
    writer(wire_version, static_cast<std::uint8_t>(frame.index()));
    if (const auto* answer = std::get_if<AgentAnswer>(&frame)) {
        AgentAnswer mended = *answer;
        mended.text.resize(std::min(mended.text.size(), max_agent_text));
        std::replace_if(mended.text.begin(), mended.text.end(), is_control, ' ');
        walk(writer, std::as_const(mended));
    } else {
        std::visit([&writer](const auto& content) { walk(writer, content); }, frame);
    }
    if (writer.packet.size() > max_frame_bytes) {
        Error error{ErrorKind::invalid, "frame.too_long",
                    "a frame of " + std::to_string(writer.packet.size()) +
                        " bytes is longer than " + std::to_string(max_frame_bytes)};
        wipe(writer.packet);
        return error;
    }
    return std::move(writer.packet);
}

Result<Frame> decode(std::string_view packet) {
    if (packet.size() <= prologue_bytes || packet.size() > max_frame_bytes) return malformed();
    if (static_cast<std::uint8_t>(packet[0]) != wire_version) return malformed();
    const auto kind = static_cast<std::uint8_t>(packet[1]);
    if (kind >= std::variant_size_v<Frame>) {
        return Error{ErrorKind::unsupported, "frame.unknown",
                     "the other side sent a frame of kind " + std::to_string(kind) +
                         ", which this build does not know"};
    }
    Frame frame = frame_of_kind(kind, std::make_index_sequence<std::variant_size_v<Frame>>{});
    Reader reader(packet.substr(prologue_bytes));
    std::visit([&reader](auto& content) { walk(reader, content); }, frame);
    if (!reader.good() || !keeps_its_promise(frame)) return malformed();
    return frame;
}

void enlarge(int socket) {
    const int bytes = static_cast<int>(4 * max_frame_bytes);
    if (::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0) return;
    ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

Result<void> send_frame(int socket, const Frame& frame) {
    QVD_TRY(std::string packet, encode(frame));
    const int fd = descriptor_of(frame);
    ssize_t sent = send_with_descriptor(socket, packet, fd, MSG_EOR);
    if (sent < 0 && errno == EMSGSIZE) {
        enlarge(socket);
        sent = send_with_descriptor(socket, packet, fd, MSG_EOR);
    }
    const int number = errno;
    wipe(packet);
    errno = number;
    if (sent < 0) return socket_error("cannot send a frame");
    return {};
}

Result<Frame> receive_frame(int socket) {
    char first = 0;
    // The true length of the packet, which stays queued.
    const ssize_t length =
        receive_last_words_too([&] { return ::recv(socket, &first, 1, MSG_PEEK | MSG_TRUNC); });
    if (length < 0) return socket_error("cannot receive a frame");
    if (length == 0)
        return Error{ErrorKind::cancelled, "frame.closed", "the other side closed the socket"};
    std::string packet(std::min<std::size_t>(static_cast<std::size_t>(length), max_frame_bytes),
                       '\0');
    ReceivedPacket received = receive_with_descriptor(socket, packet.data(), packet.size(), 0);
    if (received.bytes < 0) return socket_error("cannot receive a frame");
    if (static_cast<std::size_t>(length) > max_frame_bytes) return malformed();
    Result<Frame> frame =
        decode(std::string_view(packet).substr(0, static_cast<std::size_t>(received.bytes)));
    wipe(packet);
    if (!frame.ok()) return frame;
    return with_descriptor(std::move(frame).value(), std::move(received.fd));
}

Result<std::pair<UniqueFd, UniqueFd>> frame_sockets() {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return errno_error("frame.socket", "cannot make a socketpair");
    std::pair<UniqueFd, UniqueFd> pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
    enlarge(pair.first.get());
    enlarge(pair.second.get());
    return pair;
}

}  // namespace qvd::net
