// One plugin at work under one name of the configuration: made, called, ended.
#pragma once

#include "plugin/call.hpp"
#include "plugin/core_object.hpp"
#include "plugin/lane.hpp"
#include "plugin/library.hpp"

#include <functional>
#include <memory>
#include <string>

namespace qvd::plugin {

class Instance : public std::enable_shared_from_this<Instance> {
public:
    // Checks the values of the plugin's keys and creates the instance on this thread [load]. `name`
    // is how the configuration calls it. Errors: invalid "plugin.config"; "plugin.create" with the
    // plugin's sentence.
    static Result<std::shared_ptr<Instance>> make(Host& host,
                                                  std::shared_ptr<const Library> library,
                                                  std::string_view interface, std::string name,
                                                  std::shared_ptr<Lane> lane);
    // [any] Calls keep their instance, so none is under way: destroys it on a worker thread.
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    [[nodiscard]] const std::string& name() const { return core_->instance(); }
    [[nodiscard]] const Manifest& manifest() const { return library_->manifest(); }
    [[nodiscard]] void* self() const { return self_; }
    [[nodiscard]] Host& host() const { return host_; }

    // The function table as `Table`, a struct of an interface header.
    template <class Table>
    [[nodiscard]] const Table* table() const {
        return reinterpret_cast<const Table*>(table_);  // NOLINT: tables start with the head
    }

    // True if the plugin has this function: `&qvd_hypervisor::usage` within the table's size.
    template <class Table, class Function>
    [[nodiscard]] bool has(Function Table::*function) const {
        const auto* whole = table<Table>();
        const auto offset = reinterpret_cast<std::uintptr_t>(&(whole->*function)) -  // NOLINT
                            reinterpret_cast<std::uintptr_t>(whole);                 // NOLINT
        return table_->size >= offset + sizeof(Function) && whole->*function != nullptr;
    }

    // [event loop] A [worker] function on the plugin's lane, or with call_quick a [loop] function.
    // `function` owns what it lends. Never throws; a call past its limit, or that nobody awaits any
    // more, is cancelled and left.
    boost::asio::awaitable<Outcome> call(CallOptions options, Call::Function function);
    boost::asio::awaitable<Outcome> call_quick(CallOptions options, Call::Function function);

private:
    class Watch;

    Instance(Host& host, std::shared_ptr<const Library> library, const qvd_interface_head* table,
             const config::View& view, std::string name, std::shared_ptr<Lane> lane);

    std::shared_ptr<Call> new_call(CallOptions options, Call::Function function);
    boost::asio::awaitable<Outcome> finish(std::shared_ptr<Call> call);
    void give_up(Call& call);

    Host& host_;
    std::shared_ptr<Endings> endings_;
    std::shared_ptr<const Library> library_;
    const qvd_interface_head* table_;
    std::shared_ptr<Lane> lane_;
    std::unique_ptr<CoreObject> core_;
    void* self_ = nullptr;
    bool created_ = false;
};

}  // namespace qvd::plugin
