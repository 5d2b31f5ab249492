// Why a VM came into a state: a code that programs and tests know, and a sentence for a person.
#pragma once

#include "base/error.hpp"

#include <string>
#include <utility>

namespace qvd::hkd {

// Both empty: that is obvious. Codes never change once released:
//   vm.image_failed    its image could not be prepared
//   vm.launch_failed   the hypervisor could not start it
//   vm.restore_failed  it could not be brought back to its checkpoint
//   vm.checkpoint_missing   that is not on its node any more
//   vm.boot_failed     it ended before its agent answered
//   vm.no_network      nothing has been seen of it on the network since its start
//   vm.no_agent        it is on the network, but its agent does not answer
//   vm.agent_lost      its agent has answered, and does so no more
//   vm.crashed         it ran, and ended by itself
//   vm.disk_full       its hypervisor lets it stand still: there is no room for what it writes
//   vm.paused_by_hypervisor  the same for another reason, or by another's hand than the node's
//   vm.shut_down       it shut itself down
//   vm.not_there       it was not there any more when hkd came back
//   vm.remains         something of it cannot be cleaned up
//   vm.expired         its hard expiry has passed
//   node.restarted, node.evacuated
//   node.lost          its node died before it took the start (written by a broker)
// and those of what is asked on the way: network.*, hypervisor.*, di.*.
class Why {
public:
    Why() = default;
    Why(std::string code, std::string sentence)
        : code_(std::move(code)), sentence_(std::move(sentence)) {}
    // What a backend says has one code for many failures: `otherwise` tells which step it was.
    static Why of(const Error& error, const std::string& otherwise) {
        const bool general = error.code().starts_with("backend.");
        return {general ? otherwise : error.code(), error.sentence()};
    }

    [[nodiscard]] const std::string& code() const { return code_; }
    [[nodiscard]] const std::string& sentence() const { return sentence_; }
    [[nodiscard]] bool empty() const { return sentence_.empty(); }

private:
    std::string code_;
    std::string sentence_;
};

}  // namespace qvd::hkd
