#include "hkd/images.hpp"

#include <algorithm>

namespace qvd::hkd {

struct Images::Preparation {
    std::string copy;  // where it is to be
    std::optional<Result<void>> outcome;
    std::vector<Backend::Progress> audience;
    std::vector<std::shared_ptr<Alarm>> waiting;
};

Async<void> Images::prepare(ImagePlan image, Milliseconds patience, Backend::Progress progress) {
    while (leaving_.contains(image.unpacked_path)) {
        std::string copy = image.unpacked_path;
        co_await until_removed(std::move(copy));
    }
    const std::string key = image.hypervisor + ":" + image.path;
    if (const auto known = under_way_.find(key); known != under_way_.end())
        co_return co_await wait_for(known->second, std::move(progress));

    const auto preparation = std::make_shared<Preparation>();
    preparation->copy = image.unpacked_path;
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

Async<void> Images::remove(ImagePlan image, Milliseconds patience) {
    const std::string copy = image.unpacked_path;
    const bool wanted = std::ranges::any_of(
        under_way_, [&copy](const auto& one) { return one.second->copy == copy; });
    if (wanted || leaving_.contains(copy))
        co_return Error{ErrorKind::conflict, "image.busy", copy + " is being made or removed"};
    leaving_[copy];
    const Deadline deadline = Deadline::in(schedule_->clock(), patience);
    Result<void> outcome = co_await backend_->remove_image(std::move(image), deadline);
    const Alarms waiting = std::move(leaving_.extract(copy).mapped());
    for (const auto& alarm : waiting) alarm->ring();
    co_return outcome;
}

boost::asio::awaitable<void> Images::until_removed(std::string copy) {
    const std::shared_ptr<Alarm> alarm = schedule_->alarm();
    leaving_[copy].push_back(alarm);
    while (leaving_.contains(copy)) co_await alarm->wait_until(Alarm::never);
}

}  // namespace qvd::hkd
