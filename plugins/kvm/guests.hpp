// The guests that this node runs, and word of their end.
#pragma once

#include "connection.hpp"
#include "machine.hpp"
#include "settings.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace qvd::kvm {

class Guests : public Hearer {
public:
    Guests(const sdk::Core& core, const Settings& settings);

    // It is about to begin: if it ends from here on, settle() tells.
    void expect(const std::string& uuid, const Identity& identity);
    // It has begun: its end is reported from now on. If it has ended already, how.
    std::optional<sdk::VmStatus> settle(const std::string& uuid);
    // It was found running.
    void adopt(const std::string& uuid, const Identity& identity);
    // Its end is not reported any more.
    void forget(const std::string& uuid);
    // The same of one that the node itself is about to end. libvirt's word of that may come after
    // the order is done: before another life of it begins, wait_for_word().
    void dismiss(const std::string& uuid);
    // At most a moment: the word may be lost with the connection.
    void wait_for_word(const std::string& uuid);
    // How it came to an end, if it did by itself and was not forgotten since.
    std::optional<sdk::VmStatus> end_of(const std::string& uuid);

    void on_event(const std::string& uuid, int event, int detail) override;
    void on_connected(const std::set<std::string>& uuids) override;
    std::map<std::string, std::uint64_t> begun() override;
    void on_gone(const std::map<std::string, std::uint64_t>& gone) override;
    void on_lost(const std::string& sentence) override;

private:
    struct Known {
        Identity identity;
        bool begun = false;
        std::optional<sdk::VmStatus> end;
    };
    bool has_left(const std::string& uuid);
    void pause(const std::string& uuid);
    void end(const std::string& uuid, qvd_vm_state state, const std::string& sentence);

    sdk::Core core_;
    const Settings& settings_;
    sdk::VmEvents events_;
    std::mutex mutex_;  // guards what follows
    std::map<std::string, Known> known_;
    std::set<std::string> leaving_;  // dismissed, and no word of their end yet
    std::condition_variable left_;   // one less of them
    bool lost_ = false;
};

}  // namespace qvd::kvm
