// A node with the tiny image unpacked, and the calls that a test makes of it.
#pragma once

#include "world.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace qvd::test {

struct Stage {
    explicit Stage(const std::function<void(const std::string&)>& fill = [](const std::string&) {
    }) {
        archive = world.make_image("7-tiny.tar.gz", fill);
        backend = std::make_unique<Backend>(world);
        CallStandIn call;
        REQUIRE_MESSAGE(prepare(*backend, archive, world.images("7-tiny"), call) == QVD_OK,
                        call.sentence);
    }
    qvd_status start(VmOrder& vm, CallStandIn& call) {
        return backend->table().start(backend->self(), vm.raw(), call.raw());
    }
    void must_start(VmOrder& vm) {
        CallStandIn call;
        REQUIRE_MESSAGE(start(vm, call) == QVD_OK, call.sentence);
    }
    void destroy(VmOrder& vm) {
        CallStandIn call;
        REQUIRE_MESSAGE(
            backend->table().destroy_vm(backend->self(), vm.raw(), call.raw()) == QVD_OK,
            call.sentence);
    }
    Told state(VmOrder& vm) {
        CallStandIn call;
        REQUIRE(backend->table().state(backend->self(), vm.raw(), call.raw()) == QVD_OK);
        REQUIRE(call.vms.size() == 1);
        return call.vms.front();
    }
    std::vector<Told> survey() {
        CallStandIn call;
        REQUIRE(backend->table().survey(backend->self(), call.raw()) == QVD_OK);
        return call.vms;
    }

    World world;
    std::string archive;
    std::unique_ptr<Backend> backend;
};

inline void boot_does(const std::string& root, const std::string& commands) {
    write_file(root + "/sbin/boot", "#!/bin/sh\n" + commands, 0755);
}

}  // namespace qvd::test
