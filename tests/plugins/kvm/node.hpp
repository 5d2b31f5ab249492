// A node of its own for these tests: namespaces of processes, mounts and network, a bridge, and
// libvirtd with folders and configuration of its own. Whatever a test leaves behind goes with it.
#pragma once

#include "tests/plugins/parts.hpp"
#include "tests/plugins/web_server.hpp"

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>

namespace qvd::test {

// libvirtd, which answers at qemu:///system of this process alone.
class Libvirtd {
public:
    Libvirtd() { start(); }
    Libvirtd(const Libvirtd&) = delete;
    Libvirtd& operator=(const Libvirtd&) = delete;
    ~Libvirtd() { kill(); }

    void start();
    // At once; its guests run on.
    void kill();
    // It keeps its connections and answers nothing.
    void hang() const;
    void go_on() const;

private:
    pid_t pid_ = 0;
};

// While it lives, libvirt runs QEMU as this user, as distributions have it. Before Libvirtd.
class QemuUser {
public:
    explicit QemuUser(const std::string& name);
    QemuUser(const QemuUser&) = delete;
    QemuUser& operator=(const QemuUser&) = delete;
    ~QemuUser();
};

// The tests' guest: see make_guest.py.
std::string guest_kernel();
std::string guest_initrd();
std::string bridge_name();

// Process numbers of QEMU, whose command line has this word.
pid_t qemu_of(const std::string& domain);

// What a command writes to standard output.
std::string output_of(const std::string& command);

}  // namespace qvd::test
