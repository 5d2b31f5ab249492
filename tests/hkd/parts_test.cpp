// The smaller parts of hkd: plans, slots, load, the link to the broker, the control socket.
#include "base/file.hpp"
#include "base/log.hpp"
#include "config/keys.hpp"
#include "hkd/broker_link.hpp"
#include "hkd/control.hpp"
#include "hkd/load.hpp"
#include "hkd/storage.hpp"
#include "hkd/vm_plan.hpp"
#include "tests/hkd/world.hpp"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <thread>

using namespace qvd;
using namespace qvd::hkd;

namespace {

std::string scratch(const std::string& name) {
    return test::run_folder() + "/" + name;
}

store::StartOrder some_order(const std::string& image) {
    store::StartOrder order;
    order.record.vm = {VmId{7}, "uuid-7", "desk", UserId{3}, OsfId{2}, "default", "10.3.15.60"};
    order.record.runtime.incarnation = 4;
    order.record.user = {UserId{3}, "bob"};
    order.record.osf = {OsfId{2}, "desktop", 512, true, 2048};
    order.di.id = DiId{5};
    order.di.osf = OsfId{2};
    order.di.path = image;
    return order;
}

// What a client of the control socket gets.
std::string ask(const std::string& path, const std::string& request) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path.copy(where.sun_path, sizeof where.sun_path - 1);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    REQUIRE(::write(fd.get(), request.data(), request.size()) > 0);
    std::string answer;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; (got = ::read(fd.get(), part.data(), part.size())) > 0;)
        answer.append(part.data(), static_cast<std::size_t>(got));
    return answer;
}

}  // namespace

TEST_CASE("the folders of the storage are made, and a file in their place is told") {
    const std::string root = scratch("storage");
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    const config::View view{
        keys, config::Properties::parse("path.storage.root = " + root, "node.conf").value()};
    REQUIRE(make_storage(view).ok());
    ::chmod((root + "/overlayfs").c_str(), 0755);  // as an older node made it
    REQUIRE(make_storage(view).ok());
    for (const char* const folder :
         {"staging", "images", "basefs", "homefs", "overlayfs", "rootfs"})
        CHECK(std::filesystem::is_directory(root + "/" + folder));
    const auto mode_of = [&](const char* folder) {
        struct stat found {};
        return ::stat((root + "/" + folder).c_str(), &found) == 0 ? found.st_mode & 0777U : 0U;
    };
    for (const char* const folder : {"basefs", "homefs", "overlayfs"})
        CHECK_MESSAGE(mode_of(folder) == 0700U, folder);
    for (const char* const folder : {"images", "rootfs", "overlays", "homes"})
        CHECK_MESSAGE(mode_of(folder) == 0755U, folder);  // QEMU's user, containers' own ids

    const config::View wrong{
        keys, config::Properties::parse("path.storage.root = /proc/version", "node.conf").value()};
    CHECK(make_storage(wrong).error().code() == "file.mkdir");
}

TEST_CASE("a container's paths are those of the documented layout") {
    const auto view = test::test_view();
    const auto plan = plan_start(some_order("5-desktop.tar.gz"), view).value();
    const std::string root = "/var/lib/qvd/storage";
    REQUIRE(plan.disks.size() == 2);
    CHECK(plan.disks[0].path == root + "/images/5-desktop.tar.gz");
    CHECK(plan.disks[0].unpacked_path == root + "/basefs/5-desktop");
    CHECK(plan.disks[0].overlay_path == root + "/overlayfs/5-7-overlayfs");
    CHECK(plan.disks[0].format == plugin::ImageFormat::tar);
    CHECK_FALSE(plan.disks[0].persistent);
    CHECK(plan.disks[1].path == root + "/homefs/7-fs");
    CHECK(plan.disks[1].target == "/home");
    CHECK(plan.nics.front().mac == "54:52:00:03:0f:3c");
    CHECK(plan.nics.front().host_device == "qvd7");
    CHECK(plan.nics.front().addresses.front().gateway == "10.3.15.1");
    CHECK(plan.runtime_path == test::run_folder() + "/vm/7");
    CHECK(plan_image(some_order("5-desktop.tar.gz"), view).unpacked_path ==
          root + "/basefs/5-desktop");
}

TEST_CASE("the plugin of a VM is what its OSF says, and stays so while it runs") {
    const auto view = test::test_view();
    const std::string root = "/var/lib/qvd/storage";
    auto order = some_order("5-desktop.tar.gz");
    order.properties["vm.hypervisor"] = "lxc";
    order.properties["vm.lxc.unionfs.type"] = "btrfs";
    const auto plan = plan_start(order, view).value();
    CHECK(plan.hypervisor == "lxc-btrfs");
    CHECK(plan.disks[0].unpacked_path == root + "/btrfs/images/5-desktop");
    CHECK(plan.disks[0].overlay_path == root + "/btrfs/vms/5-7-btrfs");
    CHECK(plan_image(order, view).unpacked_path == root + "/btrfs/images/5-desktop");

    order.record.runtime.hypervisor = "lxc-btrfs";
    CHECK(plan_known(order.record, {{"vm.hypervisor", "kvm"}}, view).hypervisor == "lxc-btrfs");
    order.record.runtime.hypervisor.clear();
    CHECK(plan_known(order.record, {{"vm.hypervisor", "lxc"}}, view).hypervisor == "lxc-unionfs");
}

TEST_CASE("a machine's paths are those of the documented layout") {
    auto order = some_order("5-win.qcow2");
    order.properties["vm.hypervisor"] = "kvm";
    order.properties["vm.overlay.persistent"] = "1";
    const auto plan = plan_start(order, test::test_view()).value();
    CHECK(plan.hypervisor == "kvm");
    CHECK(plan.disks[0].overlay_path == "/var/lib/qvd/storage/overlays/5-7-overlay.qcow2");
    CHECK(plan.disks[0].persistent);
    CHECK(plan.disks[1].path == "/var/lib/qvd/storage/homes/7-data.qcow2");
    CHECK(plan.disks[1].size_bytes == 2048ULL << 20U);
    CHECK(plan.cpus == 2);
}

TEST_CASE("with one home per user, a login that leads elsewhere starts nothing") {
    const auto view = test::test_view().with_database({{"vm.lxc.home.per.user", "1"}});
    auto order = some_order("5-desktop.tar.gz");
    CHECK(plan_start(order, view)->disks[1].target == "/home/bob");
    CHECK(plan_start(order, view)->disks[1].path == "/var/lib/qvd/storage/homefs/bob");
    for (const char* const login : {"../../etc", ".lock-bob", "deleteme-bob", "", "a/b"}) {
        order.record.user.login = login;
        CHECK_MESSAGE(plan_start(order, view).error().code() == "plan.login", login);
    }
}

TEST_CASE("the load of this machine is read from /proc, its idle share since the time before") {
    const std::string proc = scratch("proc");
    REQUIRE(file::make_folders(proc).ok());
    REQUIRE(file::write_atomic(proc + "/meminfo",
                               "MemTotal: 2048000 kB\nMemFree: 1 kB\nMemAvailable: 1024000 kB\n",
                               0600)
                .ok());
    REQUIRE(file::write_atomic(
                proc + "/cpuinfo",
                "processor : 0\nbogomips : 4000.5\n\nprocessor : 1\nbogomips : 4000.5\n", 0600)
                .ok());
    REQUIRE(file::write_atomic(proc + "/stat", "cpu 100 0 100 800 0 0 0 0 0 0\n", 0600).ok());
    LoadMeter meter(proc);
    const NodeLoad first = meter.read().value();
    CHECK(first.memory_total_mib == 2000);
    CHECK(first.memory_free_mib == 1000);
    CHECK(first.cpus == 2);
    CHECK(first.cpu_bogomips == doctest::Approx(8001));
    REQUIRE(file::write_atomic(proc + "/stat", "cpu 150 0 100 850 0 0 0 0 0 0\n", 0600).ok());
    CHECK(meter.read()->cpu_idle == doctest::Approx(0.5));
    REQUIRE(file::write_atomic(proc + "/stat", "nonsense\n", 0600).ok());
    CHECK(meter.read().error().code() == "load.unreadable");
    CHECK(LoadMeter().read().ok());
}

TEST_CASE("an agent call is made by the broker, and lost with it") {
    const log::Capture quiet;
    boost::asio::io_context loop;
    LoopSchedule schedule(loop.get_executor());
    BrokerLink link(loop.get_executor(), schedule);
    std::vector<Result<std::string>> answers;
    const auto ping = [](BrokerLink* to,
                         std::vector<Result<std::string>>* into) -> boost::asio::awaitable<void> {
        std::string method = "ping";
        AgentParameters none;
        auto answer =
            co_await to->call(VmId{7}, 4, std::move(method), std::move(none), Milliseconds{60'000});
        into->push_back(std::move(answer));
    };
    const auto until = [&](std::size_t count) {
        while (answers.size() < count) loop.run_one();
    };
    spawn(loop.get_executor(), ping(&link, &answers), 0);
    until(1);
    CHECK(answers[0].error().code() == "agent.no_broker");

    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) == 0);
    UniqueFd broker(pair[1]);
    std::vector<std::string> lost;
    link.on_lost([&lost](const std::string& instance) { lost.push_back(instance); });
    link.connect(UniqueFd(pair[0]), "broker-0-x");
    const auto receive = [&] {
        auto frame = net::receive_frame(broker.get());
        return std::get<net::AgentCall>(std::move(frame).value());
    };
    spawn(loop.get_executor(), ping(&link, &answers), 0);
    loop.poll();
    const net::AgentCall call = receive();
    CHECK(call.vm == 7);
    CHECK(call.incarnation == 4);
    CHECK(call.method == "ping");
    net::AgentAnswer answer;
    answer.call = call.call;
    answer.outcome = net::AgentAnswer::Outcome::ok;
    answer.text = "1";
    REQUIRE(net::send_frame(broker.get(), answer).ok());
    until(2);
    CHECK(answers[1].value() == "1");

    spawn(loop.get_executor(), ping(&link, &answers), 0);
    loop.poll();
    (void)receive();
    broker.reset();
    until(3);
    CHECK(answers[2].error().code() == "agent.no_broker");
    CHECK(lost == std::vector<std::string>{"broker-0-x"});
}

TEST_CASE("only root and the group may use the control socket") {
    CHECK(may_control(0, {0}, -1));
    CHECK(may_control(1000, {1000, 42}, 42));
    CHECK_FALSE(may_control(1000, {1000}, 42));
    CHECK_FALSE(may_control(1000, {1000}, -1));
}

TEST_CASE("the control socket tells what only the node knows") {
    const log::Capture quiet;
    boost::asio::io_context loop;
    ControlSource source;
    source.status = [] {
        return ControlSource::Status{"alpha", "starting", "set \"this\" first", true, 2, 5};
    };
    source.vms = [] {
        VmFacts facts;
        facts.vm = VmId{7};
        facts.name = "desk";
        facts.stage = vm_stage::starting_2;
        facts.doing = "booting";
        facts.pid = 99;
        return std::vector<VmFacts>{facts};
    };
    source.plugins = [] { return std::vector<std::string>{"lxc-unionfs"}; };
    source.metrics = [] { return std::string("qvd_puppet_starts 3\n"); };
    const std::string console = scratch("console.log");
    REQUIRE(
        file::write_atomic(console, std::string(100'000, 'x') + "\nthe last line\n", 0600).ok());
    source.console_log = [&](VmId vm) { return vm == VmId{7} ? console : std::string(); };
    source.failure = [](VmId vm) -> std::optional<KeptLogs::Kept> {
        if (vm != VmId{7}) return std::nullopt;
        return KeptLogs::Kept{"vm.no_agent: it did not come up", "Kernel panic", ""};
    };
    const std::string path = scratch("control.sock");
    Control control(loop.get_executor(), source);
    REQUIRE(control.open(path, "qvd-no-such-group").ok());
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0660U);
    std::thread server([&loop] { loop.run(); });

    const std::string host = " HTTP/1.1\r\nHost: node\r\n\r\n";
    const std::string node = ask(path, "GET /v1/status" + host);
    CHECK(node.find("HTTP/1.1 200") == 0);
    CHECK(node.find(R"("reason":"set \"this\" first")") != std::string::npos);
    CHECK(ask(path, "GET /v1/vms" + host).find(R"("state":"starting_2")") != std::string::npos);
    CHECK(ask(path, "GET /v1/plugins" + host).find("lxc-unionfs") != std::string::npos);
    const std::string metrics = ask(path, "GET /metrics" + host);
    CHECK(metrics.find("Content-Type: text/plain; version=0.0.4") != std::string::npos);
    CHECK(metrics.ends_with("\r\n\r\nqvd_puppet_starts 3\n"));
    const std::string log = ask(path, "GET /v1/vm/7/log" + host);
    CHECK(log.find("the last line\n") != std::string::npos);
    CHECK(log.size() < 70'000);
    const std::string failure = ask(path, "GET /v1/vm/7/failure" + host);
    CHECK(failure.find(R"("console":"Kernel panic")") != std::string::npos);
    CHECK(ask(path, "GET /v1/vm/8/failure" + host).find("control.no_failure") != std::string::npos);
    CHECK(ask(path, "GET /v1/vm/8/log" + host).find("HTTP/1.1 404") == 0);
    CHECK(ask(path, "GET /v1/vm/../../etc/log" + host).find("HTTP/1.1 404") == 0);
    CHECK(ask(path, "GET /nothing" + host).find("control.target") != std::string::npos);
    CHECK(ask(path, "DELETE /v1/vms" + host).find("HTTP/1.1 405") == 0);
    CHECK(ask(path, "GET /" + std::string(20'000, 'a') + host).empty());
    loop.stop();
    server.join();
}

TEST_CASE("slots are given in the order of asking, and back when they go") {
    const log::Capture quiet;
    boost::asio::io_context loop;
    LoopSchedule schedule(loop.get_executor());
    Slots slots(schedule, 1);
    std::string order;
    std::vector<Slots::Slot> held;
    const auto take = [](Slots* from, std::vector<Slots::Slot>* into, std::string* who,
                         char name) -> boost::asio::awaitable<void> {
        Slots::Slot slot = co_await from->take();
        who->push_back(name);
        into->push_back(std::move(slot));
    };
    for (const char name : {'a', 'b', 'c'})
        spawn(loop.get_executor(), take(&slots, &held, &order, name), 0);
    loop.poll();
    CHECK(order == "a");
    CHECK(slots.waiting() == 2);
    held.clear();
    loop.restart();
    loop.poll();
    CHECK(order == "ab");
    slots.resize(5);
    loop.restart();
    loop.poll();
    CHECK(order == "abc");
    CHECK(slots.taken() == 2);
}
