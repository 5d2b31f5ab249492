// The plugins that logins use, as the configuration names them; replaced as a whole when it
// changes.
#pragma once

#include "plugin/authenticators.hpp"
#include "plugin/balancer.hpp"
#include "plugin/registry.hpp"

#include <memory>

namespace qvd::broker {

struct LoginPlugins {
    std::shared_ptr<plugin::Authenticators> authenticators;
    std::shared_ptr<plugin::Balancer> balancer;
};

// The view with the keys that these plugins declare; loads their files. Errors: the first plugin
// that cannot be had.
Result<config::View> with_plugin_keys(plugin::Registry& registry, const config::View& view);

// All or nothing: each plugin of l7r.auth.plugins in order, and the balancer, init() included.
boost::asio::awaitable<Result<LoginPlugins>> make_plugins(plugin::Registry& registry,
                                                          plugin::Host& host);

}  // namespace qvd::broker
