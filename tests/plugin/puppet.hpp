// A plugin whose every function is what the test says. The test and the plugin are of one build and
// one process: the key puppet.stage carries the address of the test's Stage.
#pragma once

#include <qvd/authenticator.h>
#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>

#include <functional>
#include <map>
#include <string>

namespace qvd::testing {

// What one instance does; what is left empty answers the least that the interface allows.
struct Puppet {
    std::function<qvd_status(const qvd_core*, qvd_call*)> create;
    std::function<void()> destroy;
    std::function<void(std::uint64_t call_id)> cancel;

    std::function<qvd_status(const qvd_snapshot*, qvd_call*)> init;
    std::function<qvd_status(const qvd_placement*, qvd_call*)> choose;

    std::function<qvd_status(const qvd_login*, qvd_call*)> normalise_login;
    std::function<qvd_status(const qvd_login*, qvd_secret, qvd_call*)> split;
    std::function<qvd_status(const qvd_login*, const qvd_credentials*, qvd_call*)> authenticate;
    std::function<qvd_status(const qvd_login*, qvd_secret, qvd_call*)> second_factor;
    std::function<qvd_status(const qvd_login*, qvd_call*)> after_login;
    std::function<qvd_status(const qvd_login*, qvd_call*)> before_list_vms;
    std::function<qvd_status(const qvd_login*, qvd_call*)> list_vms;
    std::function<qvd_status(const qvd_login*, const qvd_vm_entry*, qvd_call*)> allow_access;
    std::function<qvd_status(const qvd_login*, const qvd_vm_entry*, qvd_call*)> before_connect;

    std::function<qvd_status(const qvd_array*, qvd_call*)> collect;
    std::function<qvd_status(qvd_call*)> survey;
    std::function<qvd_status(const qvd_image*, qvd_call*)> prepare_image;
    // start, stop, destroy_vm, state, remove_vm, usage: by the function's name.
    std::function<qvd_status(const std::string& function, const qvd_vm*, qvd_call*)> vm;

    const qvd_core* core = nullptr;  // once created
};

// The puppets by instance name; an instance that is not here gets one that does nothing.
using Stage = std::map<std::string, Puppet*>;

}  // namespace qvd::testing
