#include "hkd/role.hpp"

#include "base/event_loop.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/log_file.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "hkd/broker_link.hpp"
#include "hkd/collector/report.hpp"
#include "hkd/control.hpp"
#include "hkd/guarded_backend.hpp"
#include "hkd/keys.hpp"
#include "hkd/node_life.hpp"
#include "hkd/plugin_backend.hpp"
#include "hkd/spawn.hpp"
#include "hkd/storage.hpp"
#include "hkd/vm_streams.hpp"
#include "plugin/host.hpp"
#include "plugin/processes.hpp"
#include "store/postgres.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

std::string boot_id() {
    const auto text = file::read("/proc/sys/kernel/random/boot_id", 64);
    return text.ok() ? std::string(text::trim(*text)) : std::string();
}

// Everything that hkd is made of, in the order in which it is needed.
class Role {
public:
    Role(EventLoop& loop, net::RoleLink& link, config::View view, store::Store& store);

    void begin();
    [[nodiscard]] int exit_status() const { return exit_status_; }

private:
    NodeLife::Parts parts();
    ControlSource control_source();
    Collector::Parts collector_parts();
    bool is_used_here(const Item& item);
    bool is_launching();
    void open_control();
    asio::awaitable<void> live();
    asio::awaitable<void> beat();
    asio::awaitable<void> listen_to_supervisor();
    bool obey_all();
    void obey(net::Order order);

    EventLoop& loop_;
    net::RoleLink& link_;
    config::View view_;
    store::Store& store_;
    LoopSchedule schedule_;
    plugin::Host host_;
    plugin::Registry registry_;
    PluginBackend plugins_;
    network::Network network_;
    std::unique_ptr<network::AddressServer> address_server_;
    GuardedBackend backend_;
    BrokerLink broker_;
    NodeLife node_;
    VmStreams streams_;
    Aside aside_;
    Collector collector_;
    Control control_;
    store::Store::Token listening_;
    int exit_status_ = 0;
};

Role::Role(EventLoop& loop, net::RoleLink& link, config::View view, store::Store& store)
    : loop_(loop),
      link_(link),
      view_(view),
      store_(store),
      schedule_(loop.get_executor()),
      host_(loop, view, &store),
      registry_(host_),
      plugins_(host_, registry_),
      backend_(plugins_, network_),
      broker_(loop.get_executor(), schedule_),
      node_(parts(), std::move(view)),
      streams_(loop.get_executor(), backend_,
               [this](VmId vm) {
                   const Vms* const vms = node_.vms();
                   return vms == nullptr ? nullptr : vms->find(vm);
               }),
      aside_(loop, schedule_),
      collector_(collector_parts()),
      control_(loop.get_executor(), control_source()) {
    host_.processes = std::make_unique<plugin::Processes>(
        host_.workers().get_executor(), view_.get(config::path_run) + "/processes");
    address_server_ =
        std::make_unique<network::AddressServer>(loop.get_executor(), *host_.processes, schedule_);
    network_.serve_by(*address_server_);
}

NodeLife::Parts Role::parts() {
    return {
        loop_.get_executor(),
        store_,
        backend_,
        broker_,
        schedule_,
        &network_,
        [this] { return plugins_.load(); },
        [this](const config::View& view) {
            host_.set_view(view);
            // Starts have their threads, and there are some for all else.
            host_.set_calls_at_once(static_cast<std::size_t>(view.get(vm_starting_max)) + 10);
        },
        [this](const std::string& sentence) { (void)link_.send(net::report::Status{sentence}); },
        [this] { (void)link_.send(net::report::Ready{}); },
        [this](const std::string& why) {
            exit_status_ = 3;
            (void)link_.send(net::report::Exiting{why});
        },
        boot_id(),
        host_name(),
        &make_storage};
}

ControlSource Role::control_source() {
    ControlSource source;
    source.status = [this] {
        return ControlSource::Status{node_.name(),        std::string(to_string(node_.state())),
                                     node_.reason(),      broker_.connected(),
                                     node_.slots_taken(), node_.slots_awaited()};
    };
    source.vms = [this] {
        const Vms* const vms = node_.vms();
        return vms == nullptr ? std::vector<VmFacts>{} : vms->facts();
    };
    source.plugins = [this] { return plugins_.names(); };
    source.metrics = [this] { return plugin::metrics_text(host_.metrics()); };
    // Of a VM that has ended, too: that is when one wants to read it.
    source.console_log = [this](VmId vm) {
        return console_file(view_.get(config::path_run) + "/vm/" + vm.text());
    };
    source.open = [this](net::ControlVerb verb, VmId vm) { return streams_.open(verb, vm); };
    source.failure = [this](VmId vm) -> std::optional<KeptLogs::Kept> {
        if (node_.vms() != nullptr && node_.vms()->find(vm)) return std::nullopt;
        return KeptLogs(kept_logs_folder(view_)).find(vm);
    };
    source.storage = [this] { return storage_document(collector_, node_.name()); };
    source.collect = [this](net::Headers parameters) {
        return collect_document(collector_, node_.name(), std::move(parameters));
    };
    return source;
}

// Unpacking, mounting, or waiting for its turn to; a VM that boots needs the node's disks no more
// than one that runs.
bool Role::is_launching() {
    const Vms* const vms = node_.vms();
    if (vms == nullptr) return false;
    const std::vector<VmFacts> all = vms->facts();
    return std::ranges::any_of(
        all, [](const VmFacts& facts) { return facts.stage == vm_stage::starting_1; });
}

// By what it was planned with, from before its image is prepared.
bool Role::is_used_here(const Item& item) {
    const Vms* const vms = node_.vms();
    if (vms == nullptr) return false;
    const auto has = [&item](const plugin::DiskSpec& disk) {
        return item.path == disk.path || item.path == disk.unpacked_path ||
               item.path == disk.overlay_path;
    };
    const std::vector<VmFacts> all = vms->facts();
    return std::ranges::any_of(all, [&](const VmFacts& facts) {
        const auto vm = vms->find(facts.vm);
        return (facts.vm == item.vm && !item.orphaned) ||
               (vm && std::ranges::any_of(vm->plan().disks, has));
    });
}

Collector::Parts Role::collector_parts() {
    return {store_,
            backend_,
            schedule_,
            aside_,
            [this] { return node_.view(); },
            [this] {
                const bool up = node_.state() == NodeState::running && node_.workshop() != nullptr;
                return up ? &node_.workshop()->images : nullptr;
            },
            [this] { return is_launching(); },
            [this](const Item& item) { return is_used_here(item); },
            [this] { return plugins_.names(); },
            [this] {
                return node_.view().get(config::path_storage_root) + "/.unneeded-" + node_.name();
            }};
}

void Role::open_control() {
    broker_.on_lost(
        [this](const std::string& broker) { (void)link_.send(net::report::Unlinked{broker}); });
    broker_.on_control([this](net::ControlCall call, std::shared_ptr<net::FrameChannel> broker) {
        control_.serve(std::move(call), std::move(broker));
    });
    const std::string run = view_.get(config::path_run);
    Result<void> opened = file::make_folders(run, 0755);
    if (opened.ok()) opened = control_.open(run + "/control.sock", "qvd-admin");
    if (!opened.ok())
        log::error("control.not_opened", {{"code", opened.error().code()}},
                   opened.error().sentence());
}

void Role::begin() {
    open_control();
    listening_ = store_.listen(
        [this](const store::Announcement& announcement) { node_.heard(announcement); });
    spawn(loop_.get_executor(), beat(), 0);
    spawn(loop_.get_executor(), listen_to_supervisor(), 0);
    spawn(loop_.get_executor(), live(), 0);
    spawn(loop_.get_executor(), collector_.run(), 0);
}

asio::awaitable<void> Role::live() {
    co_await node_.run();
    loop_.stop();
}

asio::awaitable<void> Role::beat() {
    for (;;) {
        net::report::Alive alive;
        if (const Vms* const vms = node_.vms())
            alive.load = static_cast<std::uint32_t>(vms->size());
        const plugin::Overdue overdue = host_.longest_overdue();
        alive.overdue_ms = static_cast<std::uint32_t>(overdue.by.count());
        alive.overdue_call = overdue.call;
        (void)link_.send(alive);
        co_await schedule_.sleep(net::RoleLink::beat / 2);
    }
}

asio::awaitable<void> Role::listen_to_supervisor() {
    // One of its own, as Asio closes what it watches, and none of the keepers'.
    const int control = ::fcntl(link_.fd(), F_DUPFD_CLOEXEC, 0);  // NOLINT(*-vararg): fcntl is
    if (control < 0)
        log::error("hkd.no_descriptor", {}, "the supervisor's orders cannot be heard: it ends");
    asio::posix::stream_descriptor socket(loop_);
    if (control >= 0) socket.assign(control);
    while (control >= 0) {
        const auto [problem] = co_await socket.async_wait(asio::posix::stream_descriptor::wait_read,
                                                          asio::as_tuple(asio::use_awaitable));
        if (problem || !obey_all()) break;
    }
    // Without a supervisor: end at once, the node's row as it is; the VMs go on.
    log::warn("hkd.alone", {}, "the supervisor is gone");
    loop_.stop();
}

// False: the supervisor is gone.
bool Role::obey_all() {
    for (;;) {
        auto order = link_.try_receive();
        if (!order.ok()) return false;
        if (!*order) return true;
        obey(std::move(**order));
    }
}

void Role::obey(net::Order order) {
    if (const auto* const peer = std::get_if<net::order::Peer>(&order.what)) {
        if (peer->role == net::Role::broker) broker_.connect(std::move(order.fd), peer->instance);
        return;
    }
    if (std::holds_alternative<net::order::Listen>(order.what)) return;
    if (std::holds_alternative<net::order::Log>(order.what))
        return log::continue_in(std::move(order.fd));
    if (std::holds_alternative<net::order::Drain>(order.what)) {
        log::info("hkd.stops", {}, "for its successor");
        return node_.hand_over();
    }
    const bool evacuate = std::holds_alternative<net::order::Evacuate>(order.what);
    log::info("hkd.stops", {}, evacuate ? "with every VM" : "its VMs run on");
    node_.stop(evacuate);
}

// The calls of plugins that are under way have been cancelled. Whatever they still do may be cut
// off, as a crash would: the next hkd puts it in order, and must not wait for it.
class Departure {
public:
    explicit Departure(int exit_status) : thread_([this, exit_status] { watch(exit_status); }) {}
    Departure(const Departure&) = delete;
    Departure& operator=(const Departure&) = delete;
    ~Departure() {
        {
            const std::scoped_lock lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

private:
    static constexpr std::chrono::seconds patience{2};

    void watch(int exit_status) {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, patience, [this] { return over_; })) return;
        log::warn("hkd.plugin_left_behind", {},
                  "a plugin's call has not ended; hkd ends all the same");
        ::_exit(exit_status);
    }

    std::mutex mutex_;  // guards over_
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;  // last: it uses the others
};

}  // namespace

int run(net::RoleLink link, config::View view) {
    EventLoop loop;
    auto store = store::open_postgres(loop.get_executor(), view, store::Role::hkd);
    if (!store.ok()) {
        log::error("hkd.store", {{"code", store.error().code()}}, store.error().sentence());
        (void)link.send(net::report::Exiting{store.error().sentence()});
        return 1;
    }
    std::optional<Role> role(std::in_place, loop, link, std::move(view), **store);
    role->begin();
    log::info("hkd.started", {{"instance", link.instance()}}, "");
    loop.run();
    const int exit_status = role->exit_status();
    const Departure departure(exit_status);
    // What still waits refers to the role, its store and its plugins, and cancels its calls.
    loop.end_all();
    role.reset();
    log::info("hkd.ended", {{"instance", link.instance()}}, "");
    return exit_status;
}

}  // namespace qvd::hkd
