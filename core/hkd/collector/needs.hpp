// Who needs what lies in the storage: by the database alone, which knows of every node.
#pragma once

#include "hkd/collector/stock.hpp"
#include "store/store.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace qvd::hkd {

struct Needs {
    struct Image {
        std::string file;   // inside path.storage.images
        int vms = 0;        // whose next start would be from it
        bool runs = false;  // a VM runs from it, or may begin to at any moment
    };
    std::map<DiId, Image> images;
    std::map<VmId, std::string> vms;  // and their names
    // The folders of their checkpoints, by name alone: the way there may have another name by now.
    std::map<VmId, std::string> checkpoints;
    std::set<std::string> logins;
    bool homes_by_login = false;  // vm.lxc.home.per.user

    bool is_ours = false;  // known not to be a new database

    // A database that knows neither image nor VM may be a new one: what lies here is another's.
    [[nodiscard]] bool is_new() const { return !is_ours && images.empty() && vms.empty(); }
};

Needs needs_of(const std::vector<store::VmRecord>& vms, const std::vector<store::DiRecord>& images,
               const std::vector<User>& users, bool homes_by_login);

struct Verdict {
    bool needed = true;
    std::string by;      // "VM 3 (desktop)"; of what nobody needs, why not
    bool spare = false;  // needed, but it can be made again, and nobody is at it
};

// A checkpoint of a VM that there is, and that does not go back to it: another has taken its place,
// or hkd ended between making it and remembering it.
bool is_orphaned(const Item& item, const Needs& needs);

Verdict judge(const Item& item, const Needs& needs);

}  // namespace qvd::hkd
