#include "plugin/instance.hpp"

namespace qvd::plugin {

namespace asio = boost::asio;

Instance::Instance(Host& host, std::shared_ptr<const Library> library,
                   const qvd_interface_head* table, std::string name, std::shared_ptr<Lane> lane)
    : host_(host),
      library_(std::move(library)),
      table_(table),
      lane_(std::move(lane)),
      core_(std::make_unique<CoreObject>(host, library_->manifest(), std::move(name), lane_)) {
}

Result<std::shared_ptr<Instance>> Instance::make(Host& host, std::shared_ptr<const Library> library,
                                                 std::string_view interface, std::string name,
                                                 std::shared_ptr<Lane> lane) {
    const qvd_interface_head* table = find_interface(library->plugin(), interface);
    if (table == nullptr)
        return Error{
            ErrorKind::invalid, "plugin.interface",
            "the plugin " + library->manifest().name + " offers no " + std::string(interface)};
    std::shared_ptr<Instance> instance(
        new Instance(host, std::move(library), table, std::move(name), std::move(lane)));
    Outcome outcome;
    auto call = std::make_shared<Call>(host.loop().get_executor(), instance->manifest().name,
                                       CallOptions{}, [&instance, table](qvd_call* raw) {
                                           return table->create(instance->core_->raw(), raw,
                                                                &instance->self_);
                                       });
    instance->lane_->alone([&call] { call->run(); });
    instance->core_->creating = false;
    if (!call->ended())
        return Error{ErrorKind::internal, "plugin.create",
                     "the plugin " + instance->manifest().name +
                         " answered \"pending\" to create(), which it must not"};
    outcome = call->ended_outcome();
    if (outcome.status != QVD_OK) return to_error(outcome, "plugin.create", instance->name());
    instance->created_ = true;
    return instance;
}

Instance::~Instance() {
    core_->cancel_timers();
    if (created_) lane_->alone([this] { table_->destroy(self_); });
}

asio::awaitable<Outcome> Instance::call(CallOptions options, Call::Function function) {
    auto call = std::make_shared<Call>(host_.loop().get_executor(), manifest().name,
                                       std::move(options), std::move(function));
    host_.watch(call);
    lane_->post([call] { call->run(); });
    co_return co_await finish(std::move(call));
}

asio::awaitable<Outcome> Instance::call_quick(CallOptions options, Call::Function function) {
    auto call = std::make_shared<Call>(host_.loop().get_executor(), manifest().name,
                                       std::move(options), std::move(function));
    host_.watch(call);
    lane_->post_quick([call] { call->run(); });
    co_return co_await finish(std::move(call));
}

asio::awaitable<Outcome> Instance::finish(std::shared_ptr<Call> call) {
    Outcome outcome = co_await call->outcome();
    if (outcome.timed_out) {
        log::warn("plugin.late", {{"plugin", manifest().name}, {"trace", call->trace()}},
                  outcome.sentence);
        if (table_->cancel != nullptr) table_->cancel(self_, call->id());
    }
    co_return outcome;
}

}  // namespace qvd::plugin
