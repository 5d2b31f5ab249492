// Images made ready, each by one call at a time: who comes meanwhile waits for the same answer.
#pragma once

#include "hkd/backend.hpp"
#include "hkd/schedule.hpp"

#include <map>
#include <memory>

namespace qvd::hkd {

class Images {
public:
    // Both must outlive all calls.
    Images(Backend& backend, Schedule& schedule) : backend_(&backend), schedule_(&schedule) {}

    // `progress` hears how far it is, of a preparation that another began, too.
    Async<void> prepare(ImagePlan image, Milliseconds patience, Backend::Progress progress);

    // Removes the node's copy. Who wants to prepare it meanwhile waits, and then prepares it anew.
    // conflict "image.busy" while it is prepared or removed.
    Async<void> remove(ImagePlan image, Milliseconds patience);

private:
    struct Preparation;
    using Alarms = std::vector<std::shared_ptr<Alarm>>;

    boost::asio::awaitable<void> until_removed(std::string copy);

    Async<void> wait_for(std::shared_ptr<Preparation> preparation, Backend::Progress progress);

    Backend* backend_;
    Schedule* schedule_;
    std::map<std::string, std::shared_ptr<Preparation>> under_way_;  // by path
    std::map<std::string, Alarms> leaving_;  // who waits for a removal, by the copy's path
};

}  // namespace qvd::hkd
