// An event loop and a host with the plugins of this build, for benchmarks.
#pragma once

#include "base/event_loop.hpp"
#include "config/keys.hpp"
#include "plugin/balancer.hpp"
#include "plugin/keys.hpp"
#include "plugin/registry.hpp"

#include <qvd/load_balancer.h>

#include <benchmark/benchmark.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <stdexcept>

namespace qvd::bench {

class PluginRoom {
public:
    PluginRoom() : host_(loop_, view(), nullptr, 2), registry_(host_) {}

    std::shared_ptr<plugin::Instance> make(const std::string& balancer) {
        auto made = registry_.make(QVD_LOAD_BALANCER, balancer);
        if (!made.ok()) throw std::runtime_error(made.error().sentence());
        return std::move(made).value();
    }

    // Turns the loop until what `body` gives is done.
    template <class Body>
    void run(const Body& body) {
        bool done = false;
        boost::asio::co_spawn(loop_, body(), [&](const std::exception_ptr& problem) {
            done = true;
            if (problem) std::rethrow_exception(problem);
        });
        while (!done) loop_.run_one();
    }

private:
    static config::View view() {
        auto keys = std::make_shared<config::KeySet>();
        config::declare(*keys);
        plugin::declare(*keys);
        return {keys, config::Properties::parse("path.plugins = " PLUGINS "\n", "bench").value()};
    }

    EventLoop loop_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        boost::asio::make_work_guard(loop_)};
    plugin::Host host_;
    plugin::Registry registry_;
};

}  // namespace qvd::bench
