#include "accelerator.hpp"
#include "connection.hpp"
#include "files.hpp"
#include "machine.hpp"
#include "processes.hpp"
#include "qcow2.hpp"
#include "tests/plugins/lxc/core_stand_in.hpp"
#include "xml.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>

using namespace qvd::kvm;
namespace sdk = qvd::sdk;

namespace {

class Folder {
public:
    Folder() {
        char name[] = "/tmp/qvdkvmXXXXXX";
        path_ = ::mkdtemp(name);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

std::string output_of(const std::string& command) {
    std::string output;
    FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    std::array<char, 4096> bytes{};
    for (std::size_t n = 0; (n = std::fread(bytes.data(), 1, bytes.size(), pipe)) > 0;)
        output.append(bytes.data(), n);
    ::pclose(pipe);
    return output;
}

bool has_qemu_img() {
    return ::access("/usr/bin/qemu-img", X_OK) == 0;
}

Machine machine() {
    Machine one;
    one.domain = "qvd-7";
    one.uuid = "00000000-0000-4000-8000-000000000007";
    one.title = "Ann's <desk> & chair";
    one.identity = {7, 3, 1000};
    one.memory_mib = 512;
    one.cpus = 2;
    one.drives.push_back({"/o/7.qcow2", "qcow2", "/i/d.raw", "raw", "os", 0, false});
    one.drives.push_back({"/h/7.qcow2", "qcow2", {}, {}, "home", 1, false});
    one.cards.push_back({"54:52:00:00:00:07", "br0", "qvd7", 1400});
    one.files.push_back({"opt/org.qvd/hostname", "/run/7/hostname"});
    one.console_socket = "/run/7/console.sock";
    one.console_log = "/run/7/console.log";
    return one;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// Whatever an order throws, as text.
template <class Action>
std::string failure_of(Action action) {
    try {
        action();
    } catch (const sdk::Failure& failure) {
        return failure.what();
    }
    return "";
}

class Deaf : public Hearer {
public:
    void on_event(const std::string&, int, int) override {}
    void on_connected(const std::set<std::string>& uuids) override { seen = uuids.size(); }
    std::map<std::string, std::uint64_t> begun() override { return believed; }
    void on_gone(const std::map<std::string, std::uint64_t>& them) override {
        believed.clear();
        gone.set_value(them);
    }
    void on_lost(const std::string&) override {}
    std::size_t seen = 0;
    std::map<std::string, std::uint64_t> believed;
    std::promise<std::map<std::string, std::uint64_t>> gone;
};

}  // namespace

TEST_CASE("what a VM is called cannot become XML") {
    CHECK(Xml("a").with("b", "<\"'&>").says("x < y").text() ==
          "<a b=\"&lt;&quot;&apos;&amp;&gt;\">x &lt; y</a>");
    CHECK(Xml("a").text() == "<a/>");
    CHECK(failure_of([] { Xml("a").says("one\ntwo"); }) ==
          "a control character in \"one\" cannot be told to libvirt");
    CHECK(has(domain_xml(machine()), "<title>Ann&apos;s &lt;desk&gt; &amp; chair</title>"));
}

TEST_CASE("a domain says the whole chain of a disk, so that no image's header is believed") {
    const std::string xml = domain_xml(machine());
    CHECK(has(xml,
              "<disk type=\"file\" device=\"disk\"><driver name=\"qemu\" type=\"qcow2\" "
              "discard=\"unmap\"/><source file=\"/o/7.qcow2\"/><backingStore type=\"file\">"
              "<format type=\"raw\"/><source file=\"/i/d.raw\"/><backingStore/></backingStore>"
              "<target dev=\"vda\" bus=\"virtio\"/><serial>os</serial></disk>"));
    CHECK(has(xml, "<source file=\"/h/7.qcow2\"/><backingStore/><target dev=\"vdb\""));
    CHECK(has(xml, "<domain type=\"qemu\">"));
    CHECK(has(xml, "<target dev=\"qvd7\"/><model type=\"virtio\"/><mtu size=\"1400\"/>"));
    CHECK(has(xml, "<boot dev=\"hd\"/>"));
    CHECK_FALSE(has(xml, "graphics"));
}

TEST_CASE("a domain without virtio has the devices of an old machine") {
    Machine old = machine();
    old.virtio = false;
    old.accelerated = true;
    CHECK(has(domain_xml(old), "<target dev=\"hda\" bus=\"ide\"/>"));
    CHECK(has(domain_xml(old), "<target dev=\"hdb\" bus=\"ide\"/>"));
    CHECK(has(domain_xml(old), "<model type=\"e1000\"/>"));
    CHECK(has(domain_xml(old), "<domain type=\"kvm\">"));
    CHECK_FALSE(has(domain_xml(old), "virtio"));
    old.type = "q35";
    CHECK(has(domain_xml(old), "<target dev=\"sdb\" bus=\"sata\"/>"));
}

TEST_CASE("vm.vnc.opts are those that libvirt knows by other names") {
    Machine one = machine();
    one.vnc_socket = "/run/7/qemu/vnc.sock";
    one.vnc_options = "share=ignore,keymap=de,power-control=on";
    CHECK(has(domain_xml(one),
              "<graphics type=\"vnc\" socket=\"/run/7/qemu/vnc.sock\" "
              "sharePolicy=\"ignore\" keymap=\"de\" powerControl=\"yes\"/>"));
    one.vnc_options = "password";
    CHECK(has(failure_of([&] { (void)domain_xml(one); }), "vm.vnc.opts: \"password\" is none of"));
}

TEST_CASE("whose a domain is, is read from its metadata however libvirt quotes it") {
    const Identity one{7, 3, 1000};
    CHECK(Identity::from(one.element())->incarnation == 3);
    CHECK(Identity::from("<vm id='7' incarnation='12' since='5'/>")->incarnation == 12);
    CHECK(Identity::from("<vm id='7' incarnation='12'/>")->vm_id == 7);
    CHECK_FALSE(Identity::from("<vm id='0' incarnation='12'/>"));
    CHECK_FALSE(Identity::from("<vm incarnation='12'/>"));
    CHECK_FALSE(Identity::from("<vm id='7"));
    CHECK_FALSE(Identity::from(""));
}

TEST_CASE("who ended without a word of libvirt's is missed soon after the connection") {
    Deaf hearer;
    // The first is what the test driver always runs.
    hearer.believed = {{"6695eb01-f6a4-8304-79aa-97f2502e193f", 3},
                       {"00000000-0000-0000-0000-000000000007", 5}};
    auto missed = hearer.gone.get_future();
    const Connection connection("test:///default", hearer);
    REQUIRE(missed.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    CHECK(missed.get() ==
          std::map<std::string, std::uint64_t>{{"00000000-0000-0000-0000-000000000007", 5}});
}

TEST_CASE("libvirt's own test driver starts and tells our machine") {
    qvd::test::CoreStandIn core({});
    Deaf hearer;
    Connection connection("test:///default", hearer);
    qvd::test::CallStandIn raw;
    const sdk::Call call(raw.raw());
    Machine one = machine();
    one.files.clear();
    const std::string xml = domain_xml(one);
    // The driver wants its own type, and knows no accelerator.
    const std::string mine = "<domain type=\"test\">" + xml.substr(xml.find("<name>"));
    const std::string name = connection.ask(call, one.uuid, [mine](const Order& order) {
        const Domain domain(virDomainCreateXML(order.connection, mine.c_str(), 0));
        if (!domain) fail_by_libvirt("start it");
        return std::string(virDomainGetName(domain.get()));
    });
    CHECK(name == "qvd-7");
    CHECK(hearer.seen == 1);  // the driver's own
    CHECK(failure_of([&] {
              connection.ask(call, "", [](const Order& order) {
                  const Domain none(virDomainLookupByName(order.connection, "nobody"));
                  if (!none) fail_by_libvirt("find it");
              });
          }) == "cannot find it: Domain not found");
}

TEST_CASE("an order that takes too long is given up, and the next for the VM waits for it") {
    Deaf hearer;
    Connection connection("test:///default", hearer);
    qvd::test::CallStandIn first(std::chrono::milliseconds(200));
    const auto gate = std::make_shared<std::atomic<bool>>(false);
    const auto seen = std::make_shared<std::atomic<bool>>(false);
    CHECK(failure_of([&] {
              connection.ask(sdk::Call(first.raw()), "vm", [gate, seen](const Order& order) {
                  while (!*gate) std::this_thread::yield();
                  *seen = order.abandoned->load();
              });
          }) == "libvirt at test:///default did not answer in time");
    qvd::test::CallStandIn second(std::chrono::milliseconds(200));
    CHECK(failure_of([&] { connection.ask(sdk::Call(second.raw()), "vm", [](const Order&) {}); }) ==
          "libvirt has not finished an earlier order for this VM");
    *gate = true;
    qvd::test::CallStandIn third;
    connection.ask(sdk::Call(third.raw()), "vm", [](const Order&) {});
    CHECK(*seen);
}

TEST_CASE("no libvirt is a sentence, not an exception of another kind") {
    Deaf hearer;
    Connection connection("qemu:///system?socket=/nowhere/libvirt-sock", hearer);
    qvd::test::CallStandIn call;
    CHECK(has(failure_of([&] { connection.ask(sdk::Call(call.raw()), "", [](const Order&) {}); }),
              "there is no libvirt at qemu:///system?socket=/nowhere/libvirt-sock: "));
}

TEST_CASE("a new disk is one that QEMU finds no fault with") {
    if (!has_qemu_img()) return;
    const Folder folder;
    for (const std::uint64_t bytes : {1ULL, 512ULL << 20U, (512ULL << 20U) + 1, 3ULL << 40U}) {
        make_qcow2({folder / "new.qcow2", bytes, {}, {}});
        const std::uint64_t rounded = (bytes + 511) / 512 * 512;
        CHECK(check_qcow2(folder / "new.qcow2") == rounded);
        CHECK(output_of("qemu-img check " + (folder / "new.qcow2")).find("No errors") == 0);
        CHECK(has(output_of("qemu-img info " + (folder / "new.qcow2")),
                  "(" + std::to_string(rounded) + " bytes)"));
    }
}

TEST_CASE("an overlay shows what is below until something is written to it") {
    if (!has_qemu_img()) return;
    const Folder folder;
    std::ofstream(folder / "base.raw") << std::string(700, 'x');
    CHECK(check_raw(folder / "base.raw") == 1024);
    make_qcow2({folder / "over.qcow2", 1024, folder / "base.raw", "raw"});
    CHECK(has(output_of("qemu-img info " + (folder / "over.qcow2")), "backing file format: raw"));
    output_of("qemu-img convert -O raw " + (folder / "over.qcow2") + " " + (folder / "all.raw"));
    CHECK(read_file(folder / "all.raw")->substr(0, 700) == std::string(700, 'x'));
    CHECK(has(failure_of([&] { check_qcow2(folder / "over.qcow2"); }),
              "it holds only what differs from another image"));
}

TEST_CASE("an image that leads out of itself, or is none, is refused") {
    const Folder folder;
    const std::string image = folder / "image.qcow2";
    CHECK(has(failure_of([&] { check_qcow2(image); }), "No such file"));
    std::ofstream(image) << "QFI";
    CHECK(has(failure_of([&] { check_qcow2(image); }), "it is no qcow2 image"));
    make_qcow2({image, 1U << 20U, {}, {}});
    const auto with = [&](std::size_t at, char byte) {
        std::string bytes = *read_file(image);
        bytes[at] = byte;
        std::ofstream(folder / "changed.qcow2") << bytes;
        return failure_of([&] { check_qcow2(folder / "changed.qcow2"); });
    };
    CHECK(has(with(79, 4), "its data is in another file"));
    CHECK(has(with(35, 1), "it is encrypted"));
    CHECK(has(with(7, 9), "version 9"));
    CHECK(has(with(24, 127), "no sensible size"));
    CHECK(with(79, 1) == "");  // dirty: QEMU mends that
    CHECK(has(failure_of([&] { make_qcow2({image, 0, {}, {}}); }), "a disk of 0 bytes"));
    std::ofstream(folder / "empty.raw").flush();
    CHECK(has(failure_of([&] { check_raw(folder / "empty.raw"); }), "it is empty"));
}

TEST_CASE("a copy has the holes of what was copied") {
    const Folder folder;
    std::ofstream(folder / "from") << "begin";
    std::filesystem::resize_file(folder / "from", 8U << 20U);
    std::ofstream(folder / "from", std::ios::app) << "end";
    copy_file(folder / "from", folder / "to");
    CHECK(output_of("cmp " + (folder / "from") + " " + (folder / "to")) == "");
    CHECK(disk_bytes(folder / "to") < 1U << 20U);
    CHECK_FALSE(exists(folder / "to.new"));
    CHECK(has(failure_of([&] { copy_file(folder / "none", folder / "to"); }), "No such file"));
}

TEST_CASE("the guest that proves acceleration is a disk that a BIOS starts from") {
    const std::string disk = probe_disk();
    REQUIRE(disk.size() == 1U << 20U);
    CHECK(disk.substr(510, 2) == "\x55\xaa");
    CHECK(disk.substr(32, 4) == "QVD\n");
}

TEST_CASE("QEMU's processes are found by the VM that each runs") {
    char name[] = "/tmp/qvdkvmprocXXXXXX";
    const std::string proc = ::mkdtemp(name);
    const auto process = [&proc](const std::string& pid, const std::string& program,
                                 const std::string& arguments) {
        std::filesystem::create_directories(proc + "/" + pid);
        std::ofstream(proc + "/" + pid + "/comm") << program << "\n";
        std::ofstream(proc + "/" + pid + "/cmdline") << arguments;
    };
    using namespace std::string_literals;
    process("12", "qemu-system-x86", "qemu\0-name\0guest=t-1\0-uuid\0aaaa-1\0-m\0256\0"s);
    process("13", "qemu-system-x86", "qemu\0-uuid\0"s);
    process("14", "grep", "grep\0-uuid\0aaaa-2\0"s);
    const QemuProcesses processes(proc);
    CHECK(processes.of("aaaa-1") == 12);
    CHECK(processes.of("aaaa-2") == 0);
    CHECK(processes.of("") == 0);
    std::filesystem::remove_all(proc);
}
