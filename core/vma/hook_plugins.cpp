#include "vma/hook_plugins.hpp"

#include "base/log.hpp"
#include "base/receive.hpp"
#include "base/text.hpp"
#include "vma/hook_host.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>

namespace qvd::vma {

namespace {

constexpr int load_time_ms = 10'000;
// As in qvd/plugin.h.
constexpr std::int64_t status_ok = 0;
constexpr std::int64_t status_declined = 2;

std::string value_of(const Packet& packet, std::string_view name) {
    const auto found = packet.find(name);
    return found == packet.end() ? std::string{} : found->second;
}

void log_line(const std::string& plugin, const Packet& packet) {
    static constexpr std::array levels{log::Level::debug, log::Level::info, log::Level::warn,
                                       log::Level::error};
    const auto level = text::to_integer(value_of(packet, "level")).value_or(1);
    const bool known = level >= 0 && level < static_cast<std::int64_t>(levels.size());
    log::write(known ? levels.at(static_cast<std::size_t>(level)) : log::Level::info, "plugin.log",
               {{"plugin", plugin}}, value_of(packet, "line"));
}

std::optional<Packet> receive(int socket, int flags) {
    std::string bytes(packet_limit, '\0');
    const ssize_t got =
        receive_last_words_too([&] { return ::recv(socket, bytes.data(), bytes.size(), flags); });
    if (got <= 0) return std::nullopt;
    return decode_packet(std::string_view(bytes).substr(0, static_cast<std::size_t>(got)));
}

}  // namespace

// The agent's end of one plugin's process.
class HookPlugins::Host {
public:
    Host(HookPlugins& owner, std::string plugin) : owner_(owner), plugin_(std::move(plugin)) {}
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host() { end(); }

    [[nodiscard]] const std::string& plugin() const { return plugin_; }

    // Waits until it is ready: before the agent serves anybody.
    Result<void> start() {
        QVD_CHECK(launch());
        Result<void> ready = await_ready();
        if (!ready.ok()) end();
        return ready;
    }

    Task<Result<Packet>> ask(Packet request) {
        // What is sent to it waits in the socket until it has loaded.
        if (!socket_) QVD_CO_CHECK(launch());
        const std::string id = std::to_string(++last_id_);
        request["id"] = id;
        const std::string bytes = encode_packet(request);
        if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            co_return errno_error("vma.hook.failed", "cannot call plugin " + plugin_);
        Arrival<Result<Packet>> arrival;
        waiting_[id] = &arrival;
        const Loop::Handle timer = owner_.loop_.after(owner_.settings_.hook_timeout, [this] {
            fail_all({ErrorKind::timeout, "vma.hook.timeout",
                      "plugin " + plugin_ + " did not answer in time and was killed"});
        });
        Result<Packet> answer = co_await arrival;
        owner_.loop_.remove(timer);
        co_return answer;
    }

private:
    Result<void> launch() {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
            return errno_error("plugin.load", "cannot start plugin " + plugin_);
        socket_.reset(ends[0]);
        UniqueFd other{ends[1]};
        process_ = ::fork();
        if (process_ < 0) return errno_error("plugin.load", "cannot start plugin " + plugin_);
        if (process_ == 0) run_hook_host(other.get(), plugin_, owner_.settings_, owner_.file_);
        other.reset();
        watch_ = owner_.loop_.watch(socket_.get(), POLLIN, [this](short) { take(); });
        return {};
    }

    Result<void> await_ready() {
        for (;;) {
            pollfd polled{socket_.get(), POLLIN, 0};
            if (::poll(&polled, 1, load_time_ms) != 1)
                return Error{ErrorKind::timeout, "plugin.load",
                             "plugin " + plugin_ + " does not finish loading"};
            const auto packet = receive(socket_.get(), 0);
            if (!packet)
                return Error{ErrorKind::internal, "plugin.load",
                             "plugin " + plugin_ + " crashes while it is loaded"};
            if (packet->contains("log")) {
                log_line(plugin_, *packet);
                continue;
            }
            if (value_of(*packet, "status") == "0") return {};
            return Error{ErrorKind::invalid, "plugin.load", value_of(*packet, "sentence")};
        }
    }

    void take() {
        const auto packet = receive(socket_.get(), MSG_DONTWAIT);
        if (!packet)
            return fail_all(
                {ErrorKind::internal, "vma.hook.failed", "plugin " + plugin_ + " has crashed"});
        if (packet->contains("log")) return log_line(plugin_, *packet);
        const bool of_loading = value_of(*packet, "id") == "0";
        if (of_loading && value_of(*packet, "status") != "0")
            return fail_all({ErrorKind::invalid, "vma.hook.failed", value_of(*packet, "sentence")});
        const auto found = waiting_.find(value_of(*packet, "id"));
        if (found == waiting_.end()) return;
        Arrival<Result<Packet>>* const arrival = found->second;
        waiting_.erase(found);
        arrival->set(*packet);
    }

    // It starts anew with the next call.
    void fail_all(const Error& error) {
        end();
        for (const auto& [id, arrival] : std::exchange(waiting_, {})) arrival->set(error);
    }

    void end() {
        owner_.loop_.remove(std::exchange(watch_, 0));
        socket_.reset();
        if (process_ > 0) ::kill(process_, SIGKILL);
        process_ = 0;
    }

    HookPlugins& owner_;
    std::string plugin_;
    UniqueFd socket_;
    pid_t process_ = 0;
    Loop::Handle watch_ = 0;
    std::uint64_t last_id_ = 0;
    std::map<std::string, Arrival<Result<Packet>>*> waiting_;
};

HookPlugins::HookPlugins(Loop& loop, const Settings& settings, const config::Properties& file)
    : loop_(loop), settings_(settings), file_(file) {
}

HookPlugins::~HookPlugins() = default;

Result<void> HookPlugins::load() {
    for (const std::string& plugin : settings_.hook_plugins) {
        auto host = std::make_unique<Host>(*this, plugin);
        Result<void> started = host->start();
        if (!started.ok()) {
            hosts_.clear();
            return started;
        }
        log::info("plugin.loaded", {{"plugin", plugin}}, "");
        hosts_.push_back(std::move(host));
    }
    return {};
}

void HookPlugins::set_subject(std::uint64_t vm, std::string user, std::string home) {
    vm_ = vm;
    user_name_ = std::move(user);
    user_home_ = std::move(home);
}

Task<Result<bool>> HookPlugins::call(unsigned kind, unsigned number, std::string_view word,
                                     const agent::Parameters& parameters,
                                     agent::Parameters& added) {
    Packet request{
        {"kind", std::to_string(kind)}, {"number", std::to_string(number)},
        {"word", std::string(word)},    {"limit", std::to_string(settings_.hook_timeout.count())},
        {"vm", std::to_string(vm_)},    {"user.name", user_name_},
        {"user.home", user_home_}};
    for (const auto& [name, value] : parameters) request["p." + name] = value;
    bool taken = false;
    for (const auto& host : hosts_) {
        auto asking = host->ask(request);
        QVD_CO_TRY(const Packet answer, co_await std::move(asking));
        const std::int64_t status = text::to_integer(value_of(answer, "status")).value_or(-8);
        for (const auto& [name, value] : answer)
            if (name.starts_with("put."))
                added[name.substr(4)] = request["p." + name.substr(4)] = value;
        if (status == status_ok) taken = true;
        if (status == status_ok || status == status_declined) continue;
        const std::string sentence = value_of(answer, "sentence");
        co_return Error{ErrorKind::denied, "vma.hook.failed",
                        "plugin " + host->plugin() + ": " +
                            (sentence.empty() ? "it refuses, with status " + std::to_string(status)
                                              : sentence)};
    }
    co_return taken;
}

}  // namespace qvd::vma
