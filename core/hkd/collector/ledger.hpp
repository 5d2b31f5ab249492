// Since when nobody has needed what lies in the storage, by the database's clock. As text it
// outlives hkd.
#pragma once

#include "model/vm.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace qvd::hkd {

class Ledger {
public:
    // What text() gave once; what cannot be understood is left out: such things stay for longer.
    void read(std::string_view text);
    [[nodiscard]] std::string text() const;

    // Those that are not among `unneeded` any more are forgotten, new ones are noted as of `now`.
    void note(const std::set<std::string>& unneeded, Timestamp now);
    // Since when; of what was never noted, `now`.
    [[nodiscard]] Timestamp since(const std::string& path, Timestamp now) const;

private:
    std::map<std::string, Timestamp> since_;
};

}  // namespace qvd::hkd
