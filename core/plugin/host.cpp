#include "plugin/host.hpp"

#include "plugin/processes.hpp"

#include <algorithm>
#include <cctype>

namespace qvd::plugin {

namespace {

// Images are unpacked and memory is written by the disk, which more at once do not make faster.
constexpr std::size_t bulk_at_once = 4;
constexpr std::size_t most_calls_at_once = 1024;

}  // namespace

Host::Host(EventLoop& loop, config::View view, store::Store* store, std::size_t worker_threads)
    : loop_(loop),
      workers_(worker_threads),
      store_(store),
      view_(std::move(view)),
      inventory_(std::make_shared<Inventory>(
          std::vector<store::NodeRecord>{},
          std::make_shared<const InventoryVms>(std::vector<store::VmRecord>{}), Timestamp{})) {
}

bool Endings::begin() {
    const std::scoped_lock lock(mutex_);
    if (closed_) return false;
    ++under_way_;
    return true;
}

void Endings::done() {
    const std::scoped_lock lock(mutex_);
    --under_way_;
    changed_.notify_all();
}

void Endings::close(Milliseconds limit) {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.wait_for(lock, limit, [this] { return under_way_ == 0; });
}

Host::~Host() {
    endings_->close(Milliseconds{5'000});
    processes.reset();
    own_workers_.clear();
    workers_.stop();
}

OwnWorkers& Host::workers_of(const std::string& hypervisor) {
    auto& own = own_workers_[hypervisor];
    if (!own) own = std::make_unique<OwnWorkers>(calls_at_once_, bulk_at_once);
    return *own;
}

void Host::set_calls_at_once(std::size_t calls) {
    calls_at_once_ = std::max(calls_at_once_, std::min(calls, most_calls_at_once));
    for (const auto& [name, own] : own_workers_) own->calls.grow(calls_at_once_);
}

config::View Host::view() const {
    const std::scoped_lock lock(mutex_);
    return view_;
}

void Host::set_view(config::View view) {
    const std::scoped_lock lock(mutex_);
    view_ = std::move(view);
}

std::shared_ptr<const Inventory> Host::inventory() const {
    const std::scoped_lock lock(mutex_);
    return inventory_;
}

void Host::set_inventory(std::shared_ptr<const Inventory> inventory) {
    const std::scoped_lock lock(mutex_);
    inventory_ = std::move(inventory);
}

void Host::watch(std::weak_ptr<const Call> call) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(calls_, [](const std::weak_ptr<const Call>& known) {
        const auto alive = known.lock();
        return !alive || alive->ended();
    });
    calls_.push_back(std::move(call));
}

Overdue Host::longest_overdue() const {
    const std::scoped_lock lock(mutex_);
    Overdue longest;
    for (const std::weak_ptr<const Call>& call : calls_) {
        const auto alive = call.lock();
        const Milliseconds by{alive ? alive->overdue_ms() : 0};
        if (by > longest.by) longest = {by, alive->what()};
    }
    return longest;
}

Result<std::shared_ptr<Metric>> Host::define_metric(std::string name, std::string meaning,
                                                    qvd_metric_type type) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = metrics_.find(name); known != metrics_.end()) {
        if (known->second->type != type)
            return Error{ErrorKind::conflict, "metric.type",
                         "the metric " + name + " exists with another type"};
        return known->second;
    }
    auto metric = std::make_shared<Metric>();
    metric->name = name;
    metric->meaning = std::move(meaning);
    metric->type = type;
    metrics_.emplace(std::move(name), metric);
    return metric;
}

std::vector<std::shared_ptr<Metric>> Host::metrics() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<Metric>> all;
    for (const auto& [name, metric] : metrics_) all.push_back(metric);
    return all;
}

std::string metrics_text(const std::vector<std::shared_ptr<Metric>>& metrics) {
    std::string text;
    for (const auto& metric : metrics) {
        std::string name = "qvd_" + metric->name;
        for (char& letter : name)
            if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
        std::string meaning;
        for (const char letter : metric->meaning) {
            if (letter == '\n')
                meaning += "\\n";
            else if (letter == '\\')
                meaning += "\\\\";
            else
                meaning += letter;
        }
        text += "# HELP " + name + " " + meaning + "\n# TYPE " + name +
                (metric->type == QVD_COUNTER ? " counter\n" : " gauge\n") + name + " " +
                std::to_string(metric->value) + "\n";
    }
    return text;
}

}  // namespace qvd::plugin
