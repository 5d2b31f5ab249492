#include "net/role_link.hpp"

#include "base/overloaded.hpp"
#include "net/descriptor.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace qvd::net {

namespace {

constexpr std::size_t longest_text = 1024;

// The first byte of a packet. Never reused for something else: the two sides may differ in version
// for as long as a reload takes.
enum class Tag : std::uint8_t {
    peer = 1,
    listen = 2,
    drain = 3,
    stop = 4,
    evacuate = 5,
    lifeline = 6,
    log = 7,
    ready = 65,
    alive = 66,
    status = 67,
    exiting = 68,
    setting = 69,
    lease = 70,
    unlinked = 71,
};

// How many bytes at the beginning of `text` are one character that a terminal only shows; 0 if it
// begins with none: a control character, also one beyond ASCII (U+0080 to U+009F), or no UTF-8.
std::size_t shown_character(std::string_view text) {
    const auto first = static_cast<unsigned char>(text.front());
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    if (first < 0xc2 || first > 0xf4) return 0;
    const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (text.size() < length) return 0;
    for (const char c : text.substr(1, length - 1))
        if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80) return 0;
    const bool control = first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    return control ? 0 : length;
}

// For a terminal and for systemd's status lines: what is not shown becomes a space.
std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = shown_character(text);
        if (length == 0)
            out += ' ';
        else
            out += text.substr(0, length);
        text.remove_prefix(std::max<std::size_t>(1, length));
    }
    return out;
}

class Writer {
public:
    explicit Writer(Tag tag) { number(static_cast<std::uint8_t>(tag)); }

    template <class T>
    Writer& number(T value) {
        for (std::size_t i = 0; i < sizeof(T); ++i)
            bytes_ += static_cast<char>(static_cast<std::uint64_t>(value) >> (8U * i) & 0xFFU);
        return *this;
    }
    Writer& text(std::string_view text) {
        text = text.substr(0, longest_text);
        number(static_cast<std::uint16_t>(text.size()));
        bytes_ += text;
        return *this;
    }
    std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

// Once something was missing, everything further is 0 or empty and complete() is false.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    template <class T>
    T number() {
        const std::string_view bytes = take(sizeof(T));
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes.size(); ++i)
            value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8U * i);
        return static_cast<T>(value);
    }
    std::string text() {
        const auto size = number<std::uint16_t>();
        if (size > longest_text) good_ = false;
        return std::string(take(size));
    }
    // For people: it ends up in systemd's status lines and on terminals.
    std::string words() { return printable(text()); }
    // Bytes left over are allowed: a newer version may have appended a field.
    [[nodiscard]] bool complete() const { return good_; }

private:
    std::string_view take(std::size_t size) {
        if (!good_ || rest_.size() < size) {
            good_ = false;
            return {};
        }
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }

    std::string_view rest_;
    bool good_ = true;
};

Error malformed(std::string_view what) {
    return {ErrorKind::invalid, "role_link.malformed", "malformed message: " + std::string(what)};
}

Error closed() {
    return {ErrorKind::cancelled, "role_link.closed",
            "the other side of the control socket is gone"};
}

// One packet with at most one descriptor.
Result<void> send_packet(int socket, const std::string& packet, int fd) {
    if (send_with_descriptor(socket, packet, fd, MSG_DONTWAIT) >= 0) return {};
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return closed();
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
        return Error{ErrorKind::unavailable, "role_link.full", "the control socket is full"};
    return errno_error("role_link.send", "cannot write to the control socket");
}

struct Packet {
    std::string bytes;
    UniqueFd fd;
};

Result<std::optional<Packet>> receive_packet(int socket) {
    std::array<char, max_role_message_bytes> buffer{};
    ReceivedPacket got =
        receive_with_descriptor(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got.bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::optional<Packet>{};
    if (got.bytes == 0 || (got.bytes < 0 && errno == ECONNRESET)) return closed();
    if (got.bytes < 0)
        return errno_error("role_link.receive", "cannot read from the control socket");
    Packet packet{{buffer.data(), static_cast<std::size_t>(got.bytes)}, std::move(got.fd)};
    if (got.cut) return malformed("too long");
    return std::optional<Packet>(std::move(packet));
}

std::optional<Role> role_of(std::uint8_t number) {
    if (number < 1 || number > 4) return std::nullopt;
    return static_cast<Role>(number);
}

}  // namespace

std::string_view to_string(Role role) {
    switch (role) {
        case Role::l7r:
            return "l7r";
        case Role::broker:
            return "broker";
        case Role::hkd:
            return "hkd";
        case Role::database:
            return "database";
    }
    return "unknown";
}

std::optional<Role> parse_role(std::string_view name) {
    for (const Role role : {Role::l7r, Role::broker, Role::hkd, Role::database})
        if (name == to_string(role)) return role;
    return std::nullopt;
}

std::string encode_order(const Order& order) {
    return std::visit(Overloaded{
                          [](const order::Peer& peer) {
                              return Writer(Tag::peer)
                                  .number(static_cast<std::uint8_t>(peer.role))
                                  .text(peer.instance)
                                  .take();
                          },
                          [](const order::Listen& listen) {
                              return Writer(Tag::listen).text(listen.address).take();
                          },
                          [](const order::Drain& drain) {
                              return Writer(Tag::drain).number(drain.timeout_ms).take();
                          },
                          [](const order::Stop&) { return Writer(Tag::stop).take(); },
                          [](const order::Evacuate&) { return Writer(Tag::evacuate).take(); },
                          [](const order::Lifeline&) { return Writer(Tag::lifeline).take(); },
                          [](const order::Log&) { return Writer(Tag::log).take(); },
                      },
                      order.what);
}

std::string encode_report(const Report& report) {
    return std::visit(
        Overloaded{
            [](const report::Ready&) { return Writer(Tag::ready).take(); },
            [](const report::Alive& alive) {
                return Writer(Tag::alive)
                    .number(alive.valid_ms)
                    .number(alive.load)
                    .number(alive.overdue_ms)
                    .text(alive.overdue_call)
                    .take();
            },
            [](const report::Status& status) {
                return Writer(Tag::status).text(status.text).take();
            },
            [](const report::Exiting& exiting) {
                return Writer(Tag::exiting).text(exiting.reason).take();
            },
            [](const report::Setting& setting) {
                return Writer(Tag::setting)
                    .text(setting.key)
                    .number(static_cast<std::uint8_t>(setting.value ? 1 : 0))
                    .text(setting.value.value_or(std::string()))
                    .take();
            },
            [](const report::Lease& lease) {
                return Writer(Tag::lease).text(lease.cgroup).number(lease.boottime_ms).take();
            },
            [](const report::Unlinked& unlinked) {
                return Writer(Tag::unlinked).text(unlinked.broker).take();
            },
        },
        report);
}

Result<Order> decode_order(std::string_view packet, UniqueFd fd) {
    Reader reader(packet);
    const auto tag = static_cast<Tag>(reader.number<std::uint8_t>());
    Order order{order::Stop{}, std::move(fd)};
    bool wants_fd = false;
    switch (tag) {
        case Tag::peer: {
            const auto role = role_of(reader.number<std::uint8_t>());
            if (!role) return malformed("unknown role");
            order.what = order::Peer{*role, reader.text()};
            wants_fd = true;
            break;
        }
        case Tag::listen:
            order.what = order::Listen{reader.text()};
            wants_fd = true;
            break;
        case Tag::drain:
            order.what = order::Drain{reader.number<std::uint32_t>()};
            break;
        case Tag::stop:
            order.what = order::Stop{};
            break;
        case Tag::evacuate:
            order.what = order::Evacuate{};
            break;
        case Tag::lifeline:
            order.what = order::Lifeline{};
            wants_fd = true;
            break;
        case Tag::log:
            order.what = order::Log{};
            wants_fd = true;
            break;
        default:
            return malformed("unknown order");
    }
    if (!reader.complete()) return malformed("cut short");
    if (wants_fd != static_cast<bool>(order.fd)) return malformed("descriptor");
    return order;
}

Result<Report> decode_report(std::string_view packet) {
    Reader reader(packet);
    const auto tag = static_cast<Tag>(reader.number<std::uint8_t>());
    Report report;
    switch (tag) {
        case Tag::ready:
            report = report::Ready{};
            break;
        case Tag::alive: {
            report::Alive alive;
            alive.valid_ms = reader.number<std::uint32_t>();
            alive.load = reader.number<std::uint32_t>();
            alive.overdue_ms = reader.number<std::uint32_t>();
            alive.overdue_call = reader.words();
            report = std::move(alive);
            break;
        }
        case Tag::status:
            report = report::Status{reader.words()};
            break;
        case Tag::exiting:
            report = report::Exiting{reader.words()};
            break;
        case Tag::setting: {
            report::Setting setting{reader.text(), std::nullopt};
            const bool given = reader.number<std::uint8_t>() != 0;
            std::string value = reader.text();
            if (given) setting.value = std::move(value);
            report = std::move(setting);
            break;
        }
        case Tag::lease: {
            std::string cgroup = reader.text();
            report = report::Lease{std::move(cgroup), reader.number<std::uint64_t>()};
            break;
        }
        case Tag::unlinked:
            report = report::Unlinked{reader.words()};
            break;
        default:
            return malformed("unknown report");
    }
    if (!reader.complete()) return malformed("cut short");
    return report;
}

Result<void> send_order(int socket, const Order& order) {
    return send_packet(socket, encode_order(order), order.fd.get());
}

Result<std::optional<Report>> receive_report(int socket) {
    QVD_TRY(auto packet, receive_packet(socket));
    if (!packet) return std::optional<Report>{};
    QVD_TRY(Report report, decode_report(packet->bytes));
    return std::optional<Report>(std::move(report));
}

Result<std::pair<UniqueFd, UniqueFd>> role_sockets() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
        return errno_error("role_link.socketpair", "cannot make a control socket");
    return std::pair{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

Result<std::optional<Order>> RoleLink::try_receive() {
    QVD_TRY(auto packet, receive_packet(socket_.get()));
    if (!packet) return std::optional<Order>{};
    QVD_TRY(Order order, decode_order(packet->bytes, std::move(packet->fd)));
    return std::optional<Order>(std::move(order));
}

Result<void> RoleLink::send(const Report& report) {
    return send_packet(socket_.get(), encode_report(report), -1);
}

}  // namespace qvd::net
