#include "admin/doctor/checks.hpp"
#include "admin/doctor/farm.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "hkd/network/links.hpp"
#include "plugin/keys.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace qvd;
using namespace qvd::admin::doctor;

namespace {

const Diagnosis* named(const Diagnoses& diagnoses, const std::string& name) {
    const auto found = std::ranges::find(diagnoses, name, &Diagnosis::name);
    return found == diagnoses.end() ? nullptr : &*found;
}

config::View view_of(const std::string& text) {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    plugin::declare(*keys);
    return {keys, config::Properties::parse(text, "node.conf").value()};
}

FarmFacts farm_with_node(NodeState state, Timestamp seen) {
    FarmFacts farm;
    store::NodeRecord record;
    record.node.name = "n1";
    record.node.address = "10.3.15.1";
    record.runtime.state = state;
    record.runtime.seen = seen;
    farm.nodes.push_back(record);
    return farm;
}

}  // namespace

TEST_CASE("a check that dies in its child is one more problem, and what it said before is lost") {
    const auto died = in_child("plugins", []() -> Diagnoses {
        ::raise(SIGKILL);
        return {};
    });
    REQUIRE(died.size() == 1);
    CHECK(died.front().level == Level::problem);
    CHECK(died.front().sentence.find("signal 9") != std::string::npos);

    const auto fine = in_child("x", [] { return Diagnoses{warning("a", "b", "c")}; });
    REQUIRE(fine.size() == 1);
    CHECK(fine.front().level == Level::warning);
    CHECK(fine.front().advice == "c");
}

TEST_CASE("an unknown key is a warning with its line") {
    const auto found = check_configuration(view_of("nodename = a\npath.runn = /x\n"), "node.conf");
    REQUIRE(found.size() == 1);
    CHECK(found.front().level == Level::warning);
    CHECK(found.front().sentence.find("node.conf:2") != std::string::npos);
    CHECK(found.front().sentence.find("path.run") != std::string::npos);
}

TEST_CASE("a machine that is not registered is told the command") {
    const Timestamp now{};
    const auto found =
        check_node(farm_with_node(NodeState::running, now), view_of("nodename = other\n"), now);
    REQUIRE(found.size() == 1);
    CHECK(found.front().advice.find("qa host add name=other") != std::string::npos);
}

TEST_CASE("a node that was silent for a minute is a problem") {
    const Timestamp now{std::chrono::hours(1000)};
    const config::View view = view_of("nodename = n1\n");
    CHECK(!has_problem(check_node(farm_with_node(NodeState::running, now), view, now)));
    const auto silent =
        check_node(farm_with_node(NodeState::running, now - std::chrono::minutes(1)), view, now);
    REQUIRE(named(silent, "node.seen") != nullptr);
    CHECK(named(silent, "node.seen")->level == Level::problem);
    const auto stopped = check_node(farm_with_node(NodeState::stopped, now), view, now);
    CHECK(named(stopped, "node.state")->level == Level::problem);
    FarmFacts partial = farm_with_node(NodeState::running, now);
    partial.nodes.front().runtime.reason = "the hypervisor kvm does not say what it runs";
    const auto warned = check_node(partial, view, now);
    CHECK(named(warned, "node.state")->level == Level::warning);
}

TEST_CASE("a missing certificate is a problem, one that is nonsense too") {
    FarmFacts farm;
    CHECK(has_problem(check_certificate(farm, true, Timestamp{})));
    CHECK(!has_problem(check_certificate(farm, false, Timestamp{})));
    // Operators come over TLS or not at all.
    farm.operators.push_back({OperatorId{1}, "ann", OperatorRole::observer, false});
    CHECK(has_problem(check_certificate(farm, false, Timestamp{})));
    farm.certificate.emplace();
    farm.certificate->certificate = "nonsense";
    CHECK(has_problem(check_certificate(farm, true, Timestamp{})));
}

TEST_CASE("an image without its file, an osf without default and a VM without image are named") {
    FarmFacts farm;
    CHECK(!has_problem(check_images(farm, "/nowhere")));
    store::OsfRecord osf;
    osf.osf.name = "office";
    farm.osfs.push_back(osf);
    store::DiRecord di;
    di.di.path = "1-office.tar";
    farm.dis.push_back(di);
    store::VmRecord vm;
    vm.vm.name = "desk";
    farm.vms.push_back(vm);
    const auto found = check_images(farm, "/nowhere");
    CHECK(named(found, "image.file") != nullptr);
    CHECK(named(found, "image.default") != nullptr);
    CHECK(named(found, "image.vm") != nullptr);
}

TEST_CASE("a node is well only if it runs and every role is at its work") {
    const auto said = [](const std::string& state, const std::string& l7r) {
        return check_status(R"({"version":"1","state":")" + state +
                            R"(","listening":"0.0.0.0:8443","roles":[)"
                            R"({"role":"hkd","state":"ready","status":""},)"
                            R"({"role":"l7r",)" +
                            l7r + "}]}");
    };
    const std::string ready = R"("state":"ready","status":"")";
    CHECK(said("running", ready).level == Level::good);
    CHECK(said("unconfigured", ready).level == Level::problem);
    const Diagnosis lacking =
        said("running", R"("state":"starting","status":"there is no certificate")");
    CHECK(lacking.level == Level::problem);
    CHECK(lacking.sentence.find("l7r is starting: there is no certificate") != std::string::npos);
    CHECK(said("replacing", ready).level == Level::warning);
    CHECK(check_status("nonsense").level == Level::problem);
    CHECK(check_status(R"({"state":"running","listening":"","roles":[]})").level == Level::problem);
}

TEST_CASE("a file that others may change, or that shows a password to all, is named") {
    char folder[] = "/tmp/qvd-doctor-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    const std::string file = std::string(folder) + "/node.conf";
    const auto with_mode = [&](const std::string& text, unsigned mode) {
        std::ofstream(file) << text;
        REQUIRE(::chmod(file.c_str(), mode) == 0);
        auto keys = std::make_shared<config::KeySet>();
        config::declare(*keys);
        const auto found = check_file({keys, config::Properties::read(file).value()}, file);
        REQUIRE(found.size() == 1);
        return found.front();
    };
    CHECK(with_mode("nodename = a\n", 0644).level == Level::good);
    CHECK(with_mode("nodename = a\n", 0666).level == Level::problem);
    CHECK(with_mode("nodename = a\n", 0664).level == Level::problem);
    const std::string password = "database.host = db\ndatabase.password = hunter2\n";
    CHECK(with_mode(password, 0600).level == Level::good);
    const Diagnosis shown = with_mode(password, 0644);
    CHECK(shown.level == Level::warning);
    CHECK(shown.sentence.find("database.password") != std::string::npos);
    CHECK(shown.sentence.find("hunter2") == std::string::npos);
    std::filesystem::remove_all(folder);
}

TEST_CASE("a bridge of this network is found, whatever network sysfs shows" *
          doctest::test_suite("needs bridge")) {
    if (::geteuid() != 0) return qvd::test::skip("making a network needs root");
    const auto found = in_child("bridge", []() -> Diagnoses {
        if (::unshare(CLONE_NEWNET) != 0) return {};
        if (!hkd::network::make_bridge({"qvdtest0", "54:52:00:00:00:01", 0x0a030f01, 24}).ok())
            return {};
        auto keys = std::make_shared<config::KeySet>();
        config::declare(*keys);
        hkd::declare(*keys);
        const auto file = config::Properties::parse(
            "vm.network.bridge = qvdtest0\nvm.network.ip.start = 10.3.15.50\n"
            "vm.network.netmask = 24\n",
            "node.conf");
        return check_bridge({keys, *file}, "10.3.15.1", true);
    });
    if (found.empty()) return qvd::test::skip("no network with a bridge can be made");
    REQUIRE(named(found, "network.bridge") != nullptr);
    CHECK(named(found, "network.bridge")->sentence == "the bridge qvdtest0 is there");
}

TEST_CASE("what VMs are run by and made of is what the node and the properties of OSFs name") {
    const config::View lxc = view_of("vm.hypervisor = lxc\n");
    CHECK(in_use(lxc, {}, {}).hypervisors == std::set<std::string>{"lxc-unionfs"});
    CHECK(in_use(lxc, {}, {}).unions == std::set<std::string>{"overlayfs"});
    const InUse mixed = in_use(lxc, {"kvm", "lxc"}, {"btrfs", "bind"});
    CHECK(mixed.hypervisors == std::set<std::string>{"kvm", "lxc-btrfs", "lxc-unionfs"});
    CHECK(mixed.unions == std::set<std::string>{"bind", "overlayfs"});
    const InUse listed =
        in_use(view_of("hkd.hypervisor.plugins = lxc-btrfs\n"), {"kvm"}, {"unionfs-fuse"});
    CHECK(listed.hypervisors == std::set<std::string>{"lxc-btrfs"});
    CHECK(listed.unions.empty());
}

TEST_CASE("a union without its program and a storage that is no btrfs are problems, with the way") {
    const config::View view = view_of("path.storage.btrfs.root = /proc\n");
    InUse use;
    use.unions = {"bind", "aufs"};
    use.hypervisors = {"lxc-btrfs"};
    const Diagnoses found = check_containers(view, use);
    REQUIRE(named(found, "union.aufs") != nullptr);
    CHECK(named(found, "union.aufs")->level == Level::problem);
    const Diagnosis* const btrfs = named(found, "storage.btrfs");
    REQUIRE(btrfs != nullptr);
    CHECK(btrfs->level == Level::problem);
    CHECK(btrfs->advice.find("mkfs.btrfs DEVICE; mount DEVICE /proc") != std::string::npos);
    CHECK(named(found, "union.bind") == nullptr);
}
