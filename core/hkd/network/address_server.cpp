#include "hkd/network/address_server.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "hkd/spawn.hpp"

#include <boost/asio/post.hpp>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

namespace qvd::hkd::network {

namespace asio = boost::asio;

namespace {

// Whose it is among the processes that this node holds.
const std::string owner = "hkd";
const std::string label = "dnsmasq";

constexpr Milliseconds first_delay{1000};
constexpr Milliseconds longest_delay{60'000};
// One that lived as long has earned a new beginning.
constexpr Milliseconds settled{60'000};
constexpr Milliseconds patience{2000};

std::string settings_of(const std::string& folder) {
    return folder + "/dnsmasq.conf";
}

// It reads them again as another user.
Result<void> write(const std::string& path, const std::string& text) {
    const auto written = file::write_atomic(path, text, 0644);
    if (written.ok()) return {};
    return Error{written.error().kind(), "network.dhcp",
                 "dnsmasq cannot be told: " + written.error().sentence()};
}

// The last line of its log: why it ended.
std::string last_words(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    in.seekg(0, std::ios::end);
    const auto size = static_cast<std::streamoff>(in.tellg());
    if (!in || size <= 0) return {};
    in.seekg(std::max<std::streamoff>(0, size - 512));
    const std::string end{std::istreambuf_iterator<char>(in), {}};
    const std::string_view lines = text::trim(end);
    const std::size_t last = lines.rfind('\n');
    return ": " + std::string(text::trim(lines.substr(last == std::string::npos ? 0 : last)));
}

std::string end_of(const plugin::ProcessStatus& process, const std::string& log) {
    if (process.state == plugin::ProcessStatus::State::killed)
        return "was killed by signal " + std::to_string(process.exit_code);
    return "ended" + last_words(log);
}

bool is_gone_within(const plugin::ProcessStatus& process, Milliseconds time) {
    constexpr Milliseconds step{5};
    for (Milliseconds waited{0}; waited < time; waited += step) {
        if (!plugin::is_running(process)) return true;
        std::this_thread::sleep_for(step);
    }
    return !plugin::is_running(process);
}

}  // namespace

AddressServer::AddressServer(asio::any_io_executor loop, plugin::Processes& processes,
                             Schedule& schedule)
    : loop_(std::move(loop)),
      processes_(processes),
      schedule_(schedule),
      alarm_(schedule.alarm()),
      here_(std::make_shared<Here>(Here{this})),
      delay_(first_delay) {
}

AddressServer::~AddressServer() {
    here_->server = nullptr;
}

Result<void> AddressServer::raise(const AddressPlan& plan, const std::vector<VmLink>& vms) {
    const auto made = file::make_folders(plan.folder, 0755);
    if (!made.ok()) return Error{made.error().kind(), "network.dhcp", made.error().sentence()};
    vms_.clear();
    for (const VmLink& vm : vms) vms_[vm.device] = vm;
    plan_ = plan;
    QVD_CHECK(write_vms());
    const auto before = file::read(settings_of(plan.folder), 1U << 16U);
    if (go_on_with(before.ok() ? *before : std::string())) {
        reload();
    } else {
        QVD_CHECK(write(settings_of(plan.folder), settings_text(plan)));
        delay_ = first_delay;
        if (!running_) try_to_start();
    }
    if (!std::exchange(supervised_, true)) spawn(loop_, supervise(), here_);
    return {};
}

// The one that this hkd or an earlier one started; told something else, it is to make way.
bool AddressServer::go_on_with(const std::string& settings_before) {
    if (!running_) {
        const auto found = earlier();
        if (!found || !processes_.adopt(owner, *found, when_ended()).ok()) return false;
        running_ = found;
        since_ = schedule_.clock().now();
        log::info("dhcp.adopted", {{"pid", found->pid}}, "");
    }
    if (settings_before == settings_text(*plan_)) return true;
    replaced_ = processes_.stop(owner, label, patience).ok();
    return false;
}

std::optional<plugin::ProcessStatus> AddressServer::earlier() const {
    const auto known = processes_.list(owner);
    if (!known.ok()) return std::nullopt;
    for (const plugin::ProcessStatus& one : *known)
        if (one.label == label && one.state == plugin::ProcessStatus::State::running) return one;
    return std::nullopt;
}

void AddressServer::try_to_start() {
    const Result<void> started = start();
    const bool was_absent =
        std::exchange(absent_, !started.ok() && started.error().kind() == ErrorKind::not_found);
    if (started.ok() || (was_absent && absent_)) {
        if (!started.ok()) delay_next();
        return;
    }
    log::error("dhcp.not_started", {{"program", plan_->program}},
               "VMs get no address: " + started.error().sentence() +
                   (absent_ ? " (apt-get install dnsmasq-base, or name it in command.dnsmasq; or "
                              "vm.network.use_dhcp = 0)"
                            : ""));
    delay_next();
}

Result<void> AddressServer::start() {
    plugin::ProcessOrder order;
    order.label = label;
    order.arguments = {plan_->program, "--keep-in-foreground", "--log-facility=-", "--pid-file",
                       "--conf-file=" + settings_of(plan_->folder)};
    order.output_path = plan_->log;
    QVD_TRY(running_, processes_.start(owner, order, when_ended()));
    since_ = schedule_.clock().now();
    log::info("dhcp.started", {{"pid", running_->pid}}, "on " + plan_->bridge);
    return {};
}

// Comes on a thread of the pool.
plugin::Processes::Ended AddressServer::when_ended() {
    return [loop = loop_, here = here_](const plugin::ProcessStatus& process) {
        asio::post(loop, [here, process] {
            if (here->server != nullptr) here->server->ended(process);
        });
    };
}

void AddressServer::ended(const plugin::ProcessStatus& process) {
    if (!running_ || running_->pid != process.pid) return;
    running_.reset();
    if (!plan_) return;
    if (std::exchange(replaced_, false)) {
        next_try_ = schedule_.clock().now();
    } else {
        if (schedule_.clock().now() - since_ >= settled) delay_ = first_delay;
        log::error("dhcp.ended", {{"pid", process.pid}, {"exit", process.exit_code}},
                   "dnsmasq " + end_of(process, plan_->log) + "; it is started again in " +
                       std::to_string(delay_.count() / 1000) + " s");
        delay_next();
    }
    alarm_->ring();
}

void AddressServer::delay_next() {
    next_try_ = schedule_.in(delay_);
    delay_ = std::min(delay_ * 2, longest_delay);
}

asio::awaitable<void> AddressServer::supervise() {
    for (;;) {
        const bool idle = !plan_ || running_;
        if (idle || schedule_.clock().now() < next_try_)
            co_await alarm_->wait_until(idle ? Alarm::never : next_try_);
        else
            try_to_start();
    }
}

Result<void> AddressServer::write_vms() {
    std::string leases;
    std::string names;
    for (const auto& [device, vm] : vms_) {
        leases += lease_line(vm);
        names += name_line(vm);
    }
    QVD_CHECK(write(plan_->folder + "/vms.dhcp", leases));
    return write(plan_->folder + "/vms.hosts", names);
}

void AddressServer::reload() {
    if (running_) (void)processes_.signal(owner, label, SIGHUP);
}

Result<void> AddressServer::admit(const VmLink& vm) {
    if (!plan_) return {};
    if (absent_)
        return Error{ErrorKind::unavailable, "network.dhcp",
                     "the VM would get no address: there is no " + plan_->program +
                         " on this node (vm.network.use_dhcp, command.dnsmasq)"};
    vms_[vm.device] = vm;
    QVD_CHECK(write_vms());
    reload();
    return {};
}

Result<void> AddressServer::expel(const VmLink& vm) {
    if (!plan_ || vms_.erase(vm.device) == 0) return {};
    QVD_CHECK(write_vms());
    reload();
    return {};
}

Result<void> AddressServer::remove(const std::string& folder) {
    plan_.reset();
    vms_.clear();
    if (const auto process = running_ ? running_ : earlier()) {
        if (!running_) (void)processes_.adopt(owner, *process, {});
        (void)processes_.signal(owner, label, SIGTERM);
        if (!is_gone_within(*process, patience)) {
            (void)processes_.signal(owner, label, SIGKILL);
            if (!is_gone_within(*process, patience))
                return Error{ErrorKind::unavailable, "network.dhcp",
                             "dnsmasq (" + std::to_string(process->pid) + ") does not end"};
        }
        running_.reset();
        log::info("dhcp.removed", {{"pid", process->pid}}, "");
    }
    for (const char* const name : {"/dnsmasq.conf", "/vms.dhcp", "/vms.hosts"})
        ::unlink((folder + name).c_str());
    ::rmdir(folder.c_str());
    return {};
}

}  // namespace qvd::hkd::network
