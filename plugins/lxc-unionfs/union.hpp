// One way to put a VM's files together from an image that many share and what the VM changed.
#pragma once

#include "backend/user_map.hpp"

#include <string>

namespace qvd::lxc {

struct Layers {
    std::string image;         // read only
    std::string changes;       // this VM's own; empty where there are none
    std::string work;          // for the file system's own purposes; beside changes
    std::string at;            // where it all comes together
    UserMapPtr map = {};       // whose ids own it
    std::string halfway = {};  // folder for what is mounted on the way
    bool read_only = true;     // the image itself, where a union keeps no changes
};

class Union {
public:
    explicit Union(std::string name) : name_(std::move(name)) {}
    Union(const Union&) = delete;
    Union& operator=(const Union&) = delete;
    virtual ~Union() = default;

    // As vm.lxc.unionfs.type says it.
    [[nodiscard]] const std::string& name() const { return name_; }
    // False: every VM has the image itself.
    [[nodiscard]] virtual bool keeps_changes() const { return true; }
    // Why this machine cannot do it, as far as one can tell without doing it; empty if it seems to.
    // `folder`: where changes are to be kept, if there is such a folder already.
    [[nodiscard]] virtual std::string obstacle(const std::string& folder) const = 0;
    // Why what comes together cannot be owned by other ids than the node's; empty: it can. `folder`
    // is there.
    [[nodiscard]] virtual std::string mapping_obstacle_in(const std::string& folder,
                                                          const UserMap& map) const = 0;
    // Throws sdk::Failure; then nothing is mounted. `container`: whose files they are.
    virtual void mount(const Layers& layers, const std::string& container) = 0;

private:
    std::string name_;
};

}  // namespace qvd::lxc
