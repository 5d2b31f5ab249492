// A real dnsmasq on the bridge of a network namespace, asked by real DHCP clients and resolvers.
#include "hkd/network/address_server.hpp"

#include "base/file.hpp"
#include "base/process_facts.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "tests/hkd/pretended_vms.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::network;

namespace {

const std::string gateway = "10.3.15.1";

config::View asking(std::map<std::string, std::string, std::less<>> more = {}) {
    more.emplace("vm.network.use_dhcp", "1");
    more.emplace("vm.network.domain", "vms.example");
    // Nobody answers there: what dnsmasq does not know stays unknown.
    more.emplace("vm.network.dns_server", gateway + ", 192.0.2.53");
    return view(more);
}

// The part of an hkd that has to do with the network, until it is killed.
struct Served {
    explicit Served(const config::View& configured = asking())
        : processes(pool.get_executor(), configured.get(config::path_run) + "/processes"),
          server(loop.get_executor(), processes, schedule) {
        network.serve_by(server);
    }
    // hkd is gone; dnsmasq is not.
    ~Served() {
        loop.stop();
        pool.stop();
        pool.join();
    }
    bool until(const std::function<bool()>& holds) {
        for (int tries = 0; tries < 1000 && !holds(); ++tries)
            loop.run_for(std::chrono::milliseconds(10));
        return holds();
    }

    boost::asio::thread_pool pool{1};
    boost::asio::io_context loop;
    LoopSchedule schedule{loop.get_executor()};
    plugin::Processes processes;
    AddressServer server;
    Network network;
};

std::string output_of(const std::string& command) {
    const std::string path = unique(hkd::test::run_folder() + "/output-");
    (void)std::system((command + " > " + path + " 2>&1").c_str());  // NOLINT: a test's own words
    const auto text = file::read(path);
    ::unlink(path.c_str());
    return text.ok() ? *text : std::string();
}

// What a VM's own client gets: "ADDRESS/BITS ROUTER DNS DOMAIN NAME"; empty: nothing.
std::string leased_to(const std::string& netns, const std::string& more = "") {
    const std::string script = hkd::test::run_folder() + "/udhcpc.sh";
    std::ofstream(script) << "#!/bin/sh\n[ \"$1\" = bound ] && "
                             "echo \"bound: $ip/$mask $router $dns $domain $hostname\"\nexit 0\n";
    ::chmod(script.c_str(), 0755);
    const std::string said =
        output_of("ip netns exec " + netns + " busybox udhcpc -i eth0 -n -q -f -t 4 -T 1 -s " +
                  script + " " + more);
    const std::size_t bound = said.find("bound: ");
    if (bound == std::string::npos) return {};
    return std::string(text::trim(said.substr(bound + 7, said.find('\n', bound) - bound - 7)));
}

bool resolves(const std::string& netns, const std::string& name, const std::string& to) {
    const std::string said =
        output_of("ip netns exec " + netns + " timeout 5 busybox nslookup " + name + " " + gateway);
    const std::size_t answer = said.find("Name:");
    return answer != std::string::npos && said.find(to, answer) != std::string::npos;
}

plugin::VmSpec named(const VmLink& link, const std::string& name) {
    plugin::VmSpec spec = spec_of(link);
    spec.name = name;
    return spec;
}

std::string status_line(int pid, const std::string& field) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(field + ":"))
            return std::string(text::trim(line.substr(field.size() + 1)));
    return {};
}

bool runs(int pid) {
    const auto facts = pid > 0 ? facts_of(pid) : std::nullopt;
    return facts && !facts->has_ended;
}

bool has_dnsmasq() {
    if (::access("/usr/sbin/dnsmasq", X_OK) == 0) return true;
    qvd::test::skip("there is no /usr/sbin/dnsmasq");
    return false;
}

}  // namespace

TEST_CASE("dnsmasq is told names of machines only, and no VM's name gets anything else past it") {
    const VmLink vm{"qvd1", "54:52:00:03:0f:32", "10.3.15.50", "web-1"};
    CHECK(lease_line(vm) == "54:52:00:03:0f:32,10.3.15.50,web-1\n");
    CHECK(name_line(vm) == "10.3.15.50 web-1\n");
    for (const char* name : {"", "two words", "a\nb", "-a", "www.example.org", "a,ignore", "ü"}) {
        CAPTURE(name);
        const VmLink odd{"qvd1", "54:52:00:03:0f:32", "10.3.15.50", name};
        CHECK(lease_line(odd) == "54:52:00:03:0f:32,10.3.15.50\n");
        CHECK(name_line(odd).empty());
    }
}

TEST_CASE("a VM that asks gets its own address, a stranger none, and names are answered" *
          doctest::test_suite("needs dnsmasq")) {
    NEEDS_OWN_NETWORK();
    if (!has_dnsmasq()) return;
    Served served;
    REQUIRE(served.network.raise(asking(), gateway, true, {}).ok());
    REQUIRE(runs(served.server.pid()));
    const PretendedVm one(1, "10.3.15.50");
    const PretendedVm two(2, "10.3.15.51");
    const PretendedVm stranger(3, "10.3.15.52");
    for (const PretendedVm* vm : {&one, &two, &stranger})
        sh("ip -n " + vm->netns() + " addr flush dev eth0");
    REQUIRE(served.network.admit(named(one.link(), "web-1"), one.link().address).ok());
    REQUIRE(served.network.admit(named(two.link(), "office"), two.link().address).ok());
    const int pid = served.server.pid();

    CHECK(leased_to(one.netns()) ==
          "10.3.15.50/24 10.3.15.1 10.3.15.1 192.0.2.53 vms.example web-1");
    // Whatever it calls itself and wishes for.
    CHECK(leased_to(two.netns(), "-r 10.3.15.50 -x hostname:web-1").starts_with("10.3.15.51/24 "));
    CHECK(leased_to(stranger.netns()).empty());

    sh("ip -n " + one.netns() + " addr add 10.3.15.50/24 dev eth0");
    CHECK(resolves(one.netns(), "office", "10.3.15.51"));
    CHECK(resolves(one.netns(), "web-1.vms.example", "10.3.15.50"));
    CHECK_FALSE(resolves(one.netns(), "nobody.vms.example", "10.3.15."));

    // Who comes and goes is told without a new start.
    REQUIRE(served.network.admit(named(stranger.link(), "spare"), stranger.link().address).ok());
    CHECK(served.until([&] { return resolves(one.netns(), "spare", "10.3.15.52"); }));
    REQUIRE(served.network.expel(named(stranger.link(), "spare"), stranger.link().address).ok());
    CHECK(served.until([&] { return !resolves(one.netns(), "spare", "10.3.15.52"); }));
    REQUIRE(served.network.expel(named(two.link(), "office"), two.link().address).ok());
    CHECK(served.server.pid() == pid);
    CHECK(leased_to(two.netns()).empty());
    REQUIRE(served.network.remove(asking()).ok());
    CHECK_FALSE(runs(pid));
}

TEST_CASE("a stranger gets no address even where the firewall is not the node's" *
          doctest::test_suite("needs dnsmasq")) {
    NEEDS_OWN_NETWORK();
    if (!has_dnsmasq()) return;
    const config::View open = asking({{"internal.vm.network.firewall.enable", "0"}});
    Served served(open);
    REQUIRE(served.network.raise(open, gateway, true, {}).ok());
    const PretendedVm one(1, "10.3.15.50");
    sh("ip -n " + one.netns() + " addr flush dev eth0");
    CHECK(leased_to(one.netns()).empty());
    REQUIRE(served.network.admit(named(one.link(), "web-1"), one.link().address).ok());
    CHECK(leased_to(one.netns()).starts_with("10.3.15.50/24 "));
    REQUIRE(served.network.remove(open).ok());
}

TEST_CASE("dnsmasq listens on the bridge alone, as nobody, with two capabilities" *
          doctest::test_suite("needs dnsmasq")) {
    NEEDS_OWN_NETWORK();
    if (!has_dnsmasq()) return;
    const std::string outside = unique("qvd-hkd-out-");
    REQUIRE(sh("ip netns add " + outside) == 0);
    sh("ip link add uplink0 type veth peer name eth0 netns " + outside);
    sh("ip addr add 192.0.2.1/24 dev uplink0 && ip link set uplink0 up");
    sh("ip -n " + outside + " addr add 192.0.2.2/24 dev eth0");
    sh("ip -n " + outside + " link set eth0 up");
    sh("ip -n " + outside + " route add 10.3.15.0/24 via 192.0.2.1");
    Served served;
    REQUIRE(
        served.network
            .raise(asking(), gateway, true, {{"qvd1", "54:52:00:03:0f:32", "10.3.15.50", "web-1"}})
            .ok());
    const int pid = served.server.pid();
    REQUIRE(served.until([&] { return !status_line(pid, "Uid").starts_with("0\t"); }));
    CHECK(status_line(pid, "Uid").find("\t0") == std::string::npos);
    CHECK(status_line(pid, "Gid").find("\t0") == std::string::npos);
    // To listen anew on a bridge that comes back, and to tell the kernel a VM's MAC.
    CHECK(status_line(pid, "CapEff") == "0000000000001400");
    const std::string sockets = output_of("ss -Hlntup");
    CHECK(sockets.find("dnsmasq") != std::string::npos);
    for (std::string_view rest = sockets; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
        const std::string line(rest.substr(0, end));
        CAPTURE(line);
        rest.remove_prefix(end + 1);
        if (line.find("dnsmasq") == std::string::npos) continue;
        CHECK((line.find("10.3.15.1:53") != std::string::npos ||
               line.find("%qvdtest0") != std::string::npos));
    }
    // From elsewhere nobody is answered, not even at the bridge's address.
    CHECK_FALSE(resolves(outside, "web-1", "10.3.15.50"));
    bool connected = true;
    within(outside, [&] { connected = connects("192.0.2.1", 53, briefly_ms); });
    CHECK_FALSE(connected);
    REQUIRE(served.network.remove(asking()).ok());
    sh("ip link del uplink0");
    sh("ip netns del " + outside);
}

TEST_CASE("one that dies is started again, and the VMs get their addresses as before" *
          doctest::test_suite("needs dnsmasq")) {
    NEEDS_OWN_NETWORK();
    if (!has_dnsmasq()) return;
    Served served;
    REQUIRE(served.network.raise(asking(), gateway, true, {}).ok());
    const PretendedVm one(1, "10.3.15.50");
    sh("ip -n " + one.netns() + " addr flush dev eth0");
    REQUIRE(served.network.admit(named(one.link(), "web-1"), one.link().address).ok());
    const int first = served.server.pid();
    ::kill(first, SIGKILL);
    CHECK(served.until([&] { return served.server.pid() != first && runs(served.server.pid()); }));
    CHECK(leased_to(one.netns()).starts_with("10.3.15.50/24 "));
    REQUIRE(served.network.remove(asking()).ok());
}

TEST_CASE("the next hkd goes on with the one that runs, unless it is to be told otherwise" *
          doctest::test_suite("needs dnsmasq")) {
    NEEDS_OWN_NETWORK();
    if (!has_dnsmasq()) return;
    int pid = 0;
    {
        Served served;
        REQUIRE(served.network.raise(asking(), gateway, true, {}).ok());
        pid = served.server.pid();
    }
    REQUIRE(runs(pid));
    {
        Served served;
        REQUIRE(served.network.raise(asking(), gateway, true, {}).ok());
        CHECK(served.server.pid() == pid);
    }
    const config::View other = asking({{"vm.network.gateway", "10.3.15.9"}});
    {
        Served served;
        REQUIRE(served.network.raise(other, gateway, true, {}).ok());
        CHECK(
            served.until([&] { return served.server.pid() != pid && runs(served.server.pid()); }));
        CHECK_FALSE(runs(pid));
        const PretendedVm one(1, "10.3.15.50");
        sh("ip -n " + one.netns() + " addr flush dev eth0");
        REQUIRE(served.network.admit(named(one.link(), "web-1"), one.link().address).ok());
        CHECK(leased_to(one.netns()).starts_with("10.3.15.50/24 10.3.15.9 "));
        pid = served.server.pid();
    }
    // One that never had to do with it takes it away all the same.
    Served last;
    REQUIRE(last.network.remove(other).ok());
    CHECK_FALSE(runs(pid));
    CHECK_FALSE(std::filesystem::exists(hkd::test::run_folder() + "/network"));
}

TEST_CASE(
    "without the program no VM is started that would get no address, and the rest is as ever") {
    NEEDS_OWN_NETWORK();
    const config::View lacking = asking({{"command.dnsmasq", "/usr/sbin/no-such-dnsmasq"}});
    Served served(lacking);
    REQUIRE(served.network.raise(lacking, gateway, true, {}).ok());
    CHECK(served.server.pid() == 0);
    const auto admitted = served.network.admit(
        named({"qvd1", "54:52:00:03:0f:32", "10.3.15.50", {}}, "web-1"), "10.3.15.50");
    REQUIRE_FALSE(admitted.ok());
    CHECK(admitted.error().code() == "network.dhcp");
    CHECK(admitted.error().sentence().find("command.dnsmasq") != std::string::npos);
    REQUIRE(served.network.raise(view(), gateway, true, {}).ok());
    CHECK(served.network
              .admit(named({"qvd1", "54:52:00:03:0f:32", "10.3.15.50", {}}, "web-1"), "10.3.15.50")
              .ok());
    REQUIRE(served.network.remove(lacking).ok());
}
