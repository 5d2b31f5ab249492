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

private:
    struct Preparation;

    Async<void> wait_for(std::shared_ptr<Preparation> preparation, Backend::Progress progress);

    Backend* backend_;
    Schedule* schedule_;
    std::map<std::string, std::shared_ptr<Preparation>> under_way_;  // by path
};

}  // namespace qvd::hkd
