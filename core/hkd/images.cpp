#include "hkd/images.hpp"

namespace qvd::hkd {

struct Images::Preparation {
    std::optional<Result<void>> outcome;
    std::vector<Backend::Progress> audience;
    std::vector<std::shared_ptr<Alarm>> waiting;
};

Async<void> Images::prepare(ImagePlan image, Milliseconds patience, Backend::Progress progress) {
    const std::string key = image.hypervisor + ":" + image.path;
    if (const auto known = under_way_.find(key); known != under_way_.end())
        co_return co_await wait_for(known->second, std::move(progress));

    const auto preparation = std::make_shared<Preparation>();
    preparation->audience.push_back(std::move(progress));
    under_way_[key] = preparation;
    Backend::Progress tell_all = [preparation](const std::string& sentence) {
        for (const auto& hear : preparation->audience) hear(sentence);
    };
    const Deadline deadline = Deadline::in(schedule_->clock(), patience);
    Result<void> outcome =
        co_await backend_->prepare_image(std::move(image), deadline, std::move(tell_all));
    under_way_.erase(key);
    preparation->outcome = outcome;
    for (const auto& alarm : preparation->waiting) alarm->ring();
    preparation->audience.clear();
    co_return outcome;
}

Async<void> Images::wait_for(std::shared_ptr<Preparation> preparation, Backend::Progress progress) {
    const std::shared_ptr<Alarm> alarm = schedule_->alarm();
    preparation->waiting.push_back(alarm);
    preparation->audience.push_back(std::move(progress));
    while (!preparation->outcome) co_await alarm->wait_until(Alarm::never);
    co_return *preparation->outcome;
}

}  // namespace qvd::hkd
